"""Who is pretrained on, who watches the loss, who is evaluated: one row per person, by a stable hash."""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import SplitError
from eegfm.windows.config import Roles, SplitParams

logger = logging.getLogger(__name__)

OFFICIAL_TEST = "eval"


def split_persons(recordings_by_corpus: Mapping[str, pd.DataFrame], roles: Roles, params: SplitParams) -> pd.DataFrame:
    """Give every person one split.

    A person's split depends on the person, the corpus's role and the parameters only: more data moves nobody.
    Persons of an official test set never enter pretraining; they are evaluated where their corpus is probed
    and ``excluded`` elsewhere.

    Args:
        recordings_by_corpus: The recordings table of each corpus.
        roles: What each corpus is for. A pretraining corpus that is absent is left out and logged.
        params: Ratios and salt of the hash.

    Returns:
        Columns ``person``, ``corpus``, ``split``, ``reason``, ordered by person.

    Raises:
        SplitError: A split that the roles need is empty, the probed corpus is absent, or a person belongs to
            two corpora.
    """
    present = {corpus: table for corpus, table in recordings_by_corpus.items() if not table.empty}
    absent = [corpus for corpus in roles.pretrain if corpus not in present]
    if absent:
        logger.warning("Pretraining without %s: no recordings", ", ".join(absent))
    if roles.probe and roles.probe not in present:
        raise SplitError(f"corpora.probe: corpus {roles.probe!r} has no recordings; there are {sorted(present)}")
    tables = [_split_corpus(corpus, table, roles, params) for corpus, table in present.items()]
    if not tables:
        raise SplitError("no corpus has recordings; see the rejected tables for the reasons")
    splits = pd.concat(tables).sort_values(["person", "corpus"], ignore_index=True)
    check_splits(splits)
    _refuse_empty(splits, roles, params)
    return splits


def check_splits(splits: pd.DataFrame) -> None:
    """Refuse a table in which a person stands twice.

    Raises:
        SplitError: With the first persons concerned.
    """
    twice = sorted(set(splits.loc[splits["person"].duplicated(), "person"]))
    if twice:
        raise SplitError(f"{len(twice)} persons stand in the splits table more than once: {_some(twice)}")


def splits_sha256(splits: pd.DataFrame) -> str:
    """Hash of who is in which split, whatever the order of the rows."""
    rows = sorted(
        f"{p}\t{c}\t{s}\n" for p, c, s in zip(splits["person"], splits["corpus"], splits["split"], strict=True)
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def count_by_split(table: pd.DataFrame) -> str:
    """Rows per corpus and split, in words."""
    pairs = Counter(zip(table["corpus"], table["split"], strict=True))
    return "; ".join(f"{corpus} {split} {n}" for (corpus, split), n in sorted(pairs.items())) or "none"


def _split_corpus(corpus: str, recordings: pd.DataFrame, roles: Roles, params: SplitParams) -> pd.DataFrame:
    official = (recordings["official_split"] == OFFICIAL_TEST).groupby(recordings["person"]).any().sort_index()
    persons, is_test = official.index.to_numpy(dtype=object), official.to_numpy(dtype=bool)
    split = np.full(len(persons), "excluded", dtype=object)
    reason = np.full(len(persons), "the corpus has no role", dtype=object)
    if corpus in roles.pretrain:
        held_out = _share(persons, params.salt, "validation") < params.validation_ratio
        split[:] = np.where(held_out, "validation", "pretrain")
        reason[:] = f"stable hash, validation_ratio {params.validation_ratio:g}"
        split[is_test], reason[is_test] = "excluded", "official test set of a corpus that is not probed"
    if corpus == roles.probe:
        by_hash = corpus in roles.pretrain
        chosen = (
            _share(persons, params.salt, "evaluation") < params.evaluation_ratio
            if by_hash
            else np.ones(len(persons), dtype=bool)
        )
        why = f"stable hash, evaluation_ratio {params.evaluation_ratio:g}" if by_hash else "corpus is only probed"
        split[chosen], reason[chosen] = "evaluation", why
        split[is_test], reason[is_test] = "evaluation", "official test set"
    return pd.DataFrame({"person": persons, "corpus": corpus, "split": split, "reason": reason}, dtype="str")


def _share(persons: NDArray[np.object_], salt: str, purpose: str) -> NDArray[np.float64]:
    """A number in [0, 1) per person; independent between purposes, so that one ratio does not move the other."""
    texts = [f"{salt}\0{purpose}\0{person}".encode() for person in persons]
    hashes = [int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") for text in texts]
    return np.array(hashes, dtype=np.float64) / 2.0**48


def _refuse_empty(splits: pd.DataFrame, roles: Roles, params: SplitParams) -> None:
    needed = {"pretrain"}
    if params.validation_ratio > 0:
        needed.add("validation")
    if roles.probe:
        needed.add("evaluation")
    missing = sorted(needed - set(splits["split"]))
    if missing:
        raise SplitError(
            f"no person in split {', '.join(missing)} (persons: {count_by_split(splits)}); "
            "raise its ratio, choose another salt or add persons"
        )


def _some(names: list[str], n: int = 10) -> str:
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more
