"""Join labels of persons to raw files, and report labels that match no file."""

import logging
from collections.abc import Iterable

import pandas as pd

from eegfm.recording import normalized_subject

_log = logging.getLogger(__name__)


def join_labels(files: pd.DataFrame, labels: pd.DataFrame, corpus: str, table: str) -> pd.DataFrame:
    """Give each raw file the labels of its person.

    A person is found by subject id, or else by the only row whose id is another spelling of this id (``SUB-01`` and
    ``01``, see ``normalized_subject``). ``1`` and ``001`` may be two persons, so they are no such spellings.

    Args:
        files: Rows of ``raw_files`` with ``subject``, ``excluded`` and ``label_flags``.
        labels: One row per ``subject``; ``label_flags`` is joined like any other column.
        corpus: Name of the corpus for messages.
        table: Name of the table of the labels, for messages and flags.

    Returns:
        The files in their order, with the columns of the labels. If a person has no row, ``label_flags`` is
        ``not_in_<table>:<n>_of_<m>``: n of the table's m rows match a person.
    """
    is_person = (files["excluded"] == "") & (files["subject"] != "")  # a folder that cannot be read has no subject
    people = files.loc[is_person, "subject"].drop_duplicates()
    row_of = _rows_of(files["subject"].drop_duplicates(), labels["subject"])
    matched = {row_of[subject] for subject in people if subject in row_of}
    absent = [subject for subject in people if subject not in row_of]
    rows = labels.rename(columns={"subject": "_row"})
    joined = files.drop(columns="label_flags").assign(_row=files["subject"].map(row_of).astype("str"))
    joined = joined.merge(rows, on="_row", how="left", validate="many_to_one").drop(columns="_row")
    flags = joined["label_flags"].fillna("") if "label_flags" in joined else pd.Series("", index=joined.index)
    is_absent = joined["subject"].isin(absent) & (joined["excluded"] == "")
    share = f"{len(matched)} of {len(labels)}"
    joined["label_flags"] = flags.mask(is_absent, f"not_in_{table}:{share.replace(' ', '_')}")
    if absent:
        others = [subject for subject in labels["subject"] if subject not in matched]
        _log.warning(
            "%s: %s rows of %s match a folder; %d of %d persons have no row there (%s), and no labels; "
            "rows that match no folder: %s; give persons the same ids in both",
            *(corpus, share, table, len(absent), len(people), _some(absent), _some(others)),
        )
    return joined


def _rows_of(subjects: Iterable[str], ids: "pd.Series[str]") -> dict[str, str]:
    """Id of the row of each subject of the files."""
    spelt: dict[str, list[str]] = {}
    for name in ids:
        spelt.setdefault(normalized_subject(name), []).append(name)
    exact, row_of = set(ids), {}
    for subject in subjects:
        candidates = [subject] if subject in exact else spelt.get(normalized_subject(subject), [])
        if len(candidates) == 1:
            row_of[subject] = candidates[0]
    return row_of


def _some(names: list[str], n_shown: int = 3) -> str:
    """The first names, e.g. ``1, 2, 3, …``; ``none`` for none."""
    return ", ".join([*names[:n_shown], *(["…"] if len(names) > n_shown else [])]) or "none"
