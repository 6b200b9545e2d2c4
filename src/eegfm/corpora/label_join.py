"""Join labels of persons to raw files, and report labels that match no file."""

import logging
from collections.abc import Iterable
from typing import Literal, NamedTuple

import pandas as pd

from eegfm.corpora.label_match import matched, respelt
from eegfm.recording import normalized_subject

_log = logging.getLogger(__name__)


class Labels(NamedTuple):
    """Labels of persons, or of files.

    Args:
        rows: One row per person or file; ``label_flags`` is joined like any other column.
        table: Name of their table, for messages and flags.
        by: What the rows are about: ``subject``, ``file``, or ``either`` if the files decide, see ``matched``. The ids
            stand in column ``subject``.
        key: The table's column of ids, if the configuration names the table. At least one row must then match.
        flags: Flags of everybody with a row, and of everybody at all if the table cannot be read.
        is_read: Whether the table could be read.
    """

    rows: pd.DataFrame
    table: str
    by: Literal["subject", "file", "either"] = "subject"
    key: str = ""
    flags: tuple[str, ...] = ()
    is_read: bool = True


def join_labels(files: pd.DataFrame, labels: Labels, corpus: str) -> pd.DataFrame:
    """Give each raw file the labels of its person, or its own.

    A person is found by subject id, or else by the only row whose id is another spelling of this id (``SUB-01`` and
    ``01``, see ``normalized_subject``). ``1`` and ``001`` may be two persons, so they are no such spellings.

    Args:
        files: Rows of ``raw_files`` with ``subject``, ``path``, ``excluded`` and ``label_flags``.
        labels: The labels.
        corpus: Name of the corpus for messages.

    Returns:
        The files in their order, with the columns of the labels. If a person (or file) has no row, ``label_flags`` is
        ``not_in_<table>:<n>_of_<m>``: n of the table's m rows match a person (or file).
    """
    table, rows = labels.table, labels.rows
    by: Literal["subject", "path"] = "subject"
    if labels.key:
        rows, by = matched(rows, files, labels.by, f"{corpus}: {table}, column {labels.key!r}")
    wanted = files.loc[_are_wanted(files), by].drop_duplicates()
    row_of = _rows_of(files[by].drop_duplicates(), rows[by], by)
    found = {row_of[name] for name in wanted if name in row_of}
    absent = [name for name in wanted if name not in row_of]
    joined = files.drop(columns="label_flags").assign(_row=files[by].map(row_of).astype("str"))
    joined = joined.merge(rows.rename(columns={by: "_row"}), on="_row", how="left", validate="many_to_one").drop(
        columns="_row"
    )
    flags = joined["label_flags"].fillna("") if "label_flags" in joined else pd.Series("", index=joined.index)
    is_wanted = _are_wanted(joined)
    is_absent = joined[by].isin(absent) & is_wanted
    share = f"{len(found)} of {len(rows)}"
    if labels.is_read:
        flags = flags.mask(is_absent, f"not_in_{table}:{share.replace(' ', '_')}")
        is_flagged = is_wanted & ~is_absent
    else:
        is_flagged = is_wanted
    with_table = (flags + f" {' '.join(labels.flags)}").str.strip()
    joined["label_flags"] = flags.mask(is_flagged, with_table)
    if absent and labels.is_read:
        others = [name for name in rows[by] if name not in found]
        what, whose = ("a folder", "persons") if by == "subject" else ("a file", "files")
        _log.warning(
            "%s: %s rows of %s match %s; %d of %d %s have no row there (%s), and no labels; "
            "rows that match no %s: %s; give %s the same %s in both%s",
            *(corpus, share, table, what, len(absent), len(wanted), whose, _some(absent), what[2:], _some(others)),
            *(whose, "ids" if by == "subject" else "names", respelt(others, absent) if by == "subject" else ""),
        )
    return joined


def _are_wanted(files: pd.DataFrame) -> "pd.Series[bool]":
    """Files that labels are for. A folder that cannot be read is a row without a subject."""
    return (files["excluded"] == "") & (files["subject"] != "")


def _rows_of(names: Iterable[str], ids: "pd.Series[str]", by: str) -> dict[str, str]:
    """Id of the row of each person or file."""
    if by == "path":
        paths = set(ids)
        return {name: name for name in names if name in paths}
    spelt: dict[str, list[str]] = {}
    for name in ids:
        spelt.setdefault(normalized_subject(name), []).append(name)
    exact, row_of = set(ids), {}
    for subject in names:
        candidates = [subject] if subject in exact else spelt.get(normalized_subject(subject), [])
        if len(candidates) == 1:
            row_of[subject] = candidates[0]
    return row_of


def _some(names: list[str], n_shown: int = 3) -> str:
    """The first names, e.g. ``1, 2, 3, …``; ``none`` for none."""
    return ", ".join([*names[:n_shown], *(["…"] if len(names) > n_shown else [])]) or "none"
