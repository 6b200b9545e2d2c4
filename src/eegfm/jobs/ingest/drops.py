"""Refuse to drop stored recordings because the raw folder is another one, or lacks most of its files."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from eegfm.errors import EegfmError

MAX_DROPPED_RATIO = 0.5
"""Largest share of the stored recordings that may drop out unasked, because their files left the folder."""


def refuse_drops(stored: Collection[str], made_from: str, raw_files: pd.DataFrame, root: Path) -> None:
    """Ask before recordings drop out of a store: if its raw folder is another one, or if most of its files are gone.

    Files that are there and excluded are no question: their exclusion was asked for.

    Args:
        stored: Ids of the recordings in the store.
        made_from: Raw folder that the store was made from; empty if unknown.
        raw_files: All files of the folder.
        root: The folder.

    Raises:
        EegfmError: Recordings would drop out and the parameter that lets them is not set. Nothing is changed.
    """
    corpus = str(raw_files["corpus"].iloc[0])
    # A second file of the same name changes the ids of both.
    paths = raw_files["path"]
    stems = paths.str.rpartition("/")[2].str.rpartition(".")[0]
    there = {*raw_files["recording_id"], *(f"{corpus}:{name}" for name in (*paths, *stems))}
    gone = sorted(set(stored) - there)
    is_other = is_other_folder(made_from, root)
    if not gone or not (is_other or len(gone) > MAX_DROPPED_RATIO * len(stored)):
        return
    before = f", which was made from {made_from}" if is_other else ""
    raise EegfmError(
        f"{corpus}: {len(gone)} of the {len(stored)} recordings in the store{before} are not in raw folder {root} "
        f"({len(raw_files)} files), e.g. {gone[0]}; nothing was dropped. Point the corpus at the right folder, or give "
        f"the other folder a corpus or a data root of its own; to drop them: --params={corpus}.ingest.drop_missing=true"
    )


def refuse_replaced(replaced: Sequence[str], n_stored: int, made_from: str, root: Path, corpus: str) -> None:
    """Ask before another folder, which has recordings of the same names, replaces most of what is stored.

    Args:
        replaced: Ids of stored recordings whose files have other contents.
        n_stored: Recordings in the store.
        made_from: Raw folder that the store was made from; empty if unknown.
        root: The folder.
        corpus: Name of the corpus.

    Raises:
        EegfmError: Most recordings would be replaced and the parameter that lets them is not set.
    """
    if is_other_folder(made_from, root) and len(replaced) > MAX_DROPPED_RATIO * n_stored:
        raise EegfmError(
            f"{corpus}: {len(replaced)} of the {n_stored} recordings in the store, which was made from {made_from}, "
            f"have other contents in raw folder {root}, e.g. {replaced[0]}; nothing was replaced. Point the corpus at "
            "the right folder, or give the other folder a corpus or a data root of its own; to replace them: "
            f"--params={corpus}.ingest.drop_missing=true"
        )


def is_other_folder(made_from: str, root: Path) -> bool:
    """True if a store was made from another raw folder, as far as it knows."""
    return made_from not in {"", str(root.resolve())}
