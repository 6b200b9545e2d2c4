"""Rows of a table of labels, one per person or file.

Nobody loses a recording for a label that nobody asked for: the label is missing, with a line in the log and a flag. A
label that the configuration names must be beyond doubt.
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from eegfm.corpora.side_faults import not_understood, not_utf8, rows_left_out
from eegfm.corpora.text_tables import TAB, Row, read_table
from eegfm.errors import EegfmError

_log = logging.getLogger(__name__)

ROWS_DISAGREE = "rows_disagree"
"""Start of the flag of a person with two rows that differ in a column: ``rows_disagree:<column>``."""


class Conflict(NamedTuple):
    """Two rows of one person or file that differ in one column."""

    id: str
    column: str
    values: tuple[str, str]
    lines: tuple[int, int]


class LabelRows(NamedTuple):
    """A table of labels.

    Args:
        path: The table.
        key: Column of the ids.
        ids: Persons or files, each once.
        lines: Number of each one's first line.
        table: One row per id, as text; None for missing values and where two rows of one id differ.
        conflicts: What two rows of one id differ in.
        differing: Columns that stand twice with different values, with a line. They are not in ``table``. Of two
            columns ``key``, the first counts.
        odd_lines: Lines with another number of fields than the header, or without an id. They are no rows.
        flags: Flags of everybody in the table.
    """

    path: Path
    key: str
    ids: list[str]
    lines: list[int]
    table: pd.DataFrame
    conflicts: list[Conflict]
    differing: dict[str, int]
    odd_lines: list[int]
    flags: tuple[str, ...]

    def flags_of(self, columns: Collection[str]) -> list[str]:
        """Per id, flags about rows that differ in one of the columns, separated by blanks."""
        found: dict[str, dict[str, None]] = {name: {} for name in self.ids}
        for conflict in self.conflicts:
            if conflict.column in columns:
                found[conflict.id][f"{ROWS_DISAGREE}:{'_'.join(conflict.column.split())}"] = None
        return [" ".join(flags) for flags in found.values()]


def read_label_rows(
    path: Path,
    key: str,
    separator: str = TAB,
    id_of: Callable[[str], str] = lambda text: text,
    *,
    is_key_first: bool = False,
) -> LabelRows:
    """Read a table of labels.

    Args:
        path: The table.
        key: Column of the ids, in any case.
        separator: Character between two fields.
        id_of: Brings the texts of that column into one spelling.
        is_key_first: Whether the standard of the table wants the ids in its first column, which then counts.

    Raises:
        ValueError: The file is no text, or has not the column ``key`` once.
        OSError: The file cannot be read.
    """
    table = read_table(path, [key], separator=separator, first=key if is_key_first else "")
    merged: dict[str, Row] = {}
    lines: dict[str, int] = {}
    conflicts, nameless = [], []
    for line, row in zip(table.lines, table.rows, strict=True):
        text = row[key]
        if text is None:
            nameless.append(line)
            continue
        name = id_of(text)
        if lines.setdefault(name, line) == line:
            merged[name] = dict(row)
            continue
        conflicts += _merge(merged[name], row, key, Conflict(name, "", ("", ""), (lines[name], line)))
    columns = [column for column in table.columns if column != key]
    for conflict in conflicts:
        merged[conflict.id][conflict.column] = None
    odd_lines = sorted([*table.odd_lines, *nameless])
    name = path.name
    two_keys = (not_understood(name, key),) if key in table.differing else ()
    flags = (*not_utf8(name, is_utf8=table.is_utf8), *rows_left_out(name, len(odd_lines)), *two_keys)
    texts = pd.DataFrame(list(merged.values()), columns=columns, dtype="object")
    return LabelRows(path, key, list(merged), list(lines.values()), texts, conflicts, table.differing, odd_lines, flags)


def _merge(first: Row, other: Row, key: str, where: Conflict) -> list[Conflict]:
    """Fill up the first row with values of another row of the same id, and list what they differ in."""
    found = []
    for column, value in other.items():
        known = first.get(column)
        if column == key or value is None:
            continue
        if known is None:
            first[column] = value
        elif known != value:
            found.append(where._replace(column=column, values=(known, value)))
    return found


def refuse_doubtful(rows: LabelRows, columns: Collection[str]) -> None:
    """Refuse a table whose faults touch a column that is asked for.

    Args:
        rows: The table.
        columns: Columns that the configuration names.

    Raises:
        EegfmError: A column stands twice, two rows of one person or file differ in it, or a line cannot be told apart.
            The message names lines and values.
    """
    if not columns:
        return
    twice = next((name for name in (rows.key, *columns) if name in rows.differing), None)
    if twice is not None:
        raise EegfmError(
            f"{rows.path}: column {twice} stands twice, and its values differ in line {rows.differing[twice]}; keep one"
        )
    if rows.odd_lines:
        raise EegfmError(
            f"{rows.path}: line {rows.odd_lines[0]} has another number of fields than the header, or names nobody; the "
            f"labels {', '.join(columns)} are asked for, so correct it"
        )
    conflict = next((one for one in rows.conflicts if one.column in columns), None)
    if conflict is not None:
        one, other = conflict.values
        raise EegfmError(
            f"{rows.path}: {conflict.column} of {conflict.id} is {one!r} in line {conflict.lines[0]} and {other!r} in "
            f"line {conflict.lines[1]}; keep one row"
        )


def say_faults(rows: LabelRows) -> None:
    """Log what is left out of a table, one line per kind of fault."""
    for column, line in rows.differing.items():
        what = "the first one counts" if column == rows.key else "it is left out"
        _log.warning("%s: column %s stands twice and differs in line %d; %s", rows.path, column, line, what)
    if rows.odd_lines:
        _log.warning(
            "%s: %d lines have another number of fields than the header, or name nobody, and are left out; the "
            "first is line %d",
            *(rows.path, len(rows.odd_lines), rows.odd_lines[0]),
        )
    if rows.conflicts:
        first = rows.conflicts[0]
        _log.warning(
            "%s: %d persons or files have rows that differ, and no label where they do, e.g. %s of %s is %r in line %d "
            "and %r in line %d; keep one row",
            *(rows.path, len({one.id for one in rows.conflicts}), first.column, first.id),
            *(first.values[0], first.lines[0], first.values[1], first.lines[1]),
        )
