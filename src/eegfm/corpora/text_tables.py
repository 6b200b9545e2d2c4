"""Read text tables. The side files of every corpus are read here.

Blanks around cells and column names have no meaning. Editors that align columns, spreadsheets and line ends of other
systems add such blanks. The content of a cell in double quotes is the text between the quotes.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path

from eegfm.corpora.side_file_limits import check_bytes, check_shape
from eegfm.signal.text import stripped

MISSING = frozenset({"n/a", ""})
TAB = "\t"
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)

Row = dict[str, str | None]
"""One line of a table by column. None stands for BIDS's ``n/a``, in any case, and for the empty cell."""


def is_missing(text: str) -> bool:
    """Whether a cell or a value of a side file stands for a missing value."""
    return stripped(text).casefold() in MISSING


def cells(line: str, separator: str) -> list[str]:
    """Cells of a line without surrounding blanks and quotes. A separator inside quotes belongs to its cell."""
    parts = line.split(separator)
    if '"' not in line:
        return [stripped(part) for part in parts]
    found, at = [], 0
    # Only these can end a quoted cell. Looking for an end among all parts would take for ever where none ends.
    ends = [k for k, part in enumerate(parts) if stripped(part).endswith('"')]
    while at < len(parts):
        stop, cell = _quoted(parts, at, ends, separator) or (at + 1, parts[at])
        found.append(stripped(cell))
        at = stop
    return found


def _quoted(parts: Sequence[str], at: int, ends: Sequence[int], separator: str) -> tuple[int, str] | None:
    """End of the quoted cell that starts at a part, and its text; None if no quoted cell starts there."""
    if not stripped(parts[at]).startswith('"'):
        return None
    for end in ends[bisect_left(ends, at) :]:
        match = _QUOTED.fullmatch(stripped(separator.join(parts[at : end + 1])))
        if match:
            return end + 1, match[1].replace('""', '"')
    return None


def read_table(path: Path, required: Iterable[str], known: Iterable[str] = ()) -> list[Row]:
    """Read all lines of a tab-separated table.

    Args:
        path: The table.
        required: Required columns, in any case.
        known: Other columns whose names match in any case. The rows use the spelling given here.

    Raises:
        ValueError: The table is no regular file, is too large (``side_file_limits``), is not UTF-8, lacks or repeats a
            column, or has a line with another number of fields than the header, whose columns are then unknown.
        OSError: The table cannot be read.
    """
    check_bytes(path)
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    check_shape(lines[0].count(TAB) + 1, len(lines))
    wanted = tuple(required)
    columns = _spelt_as(cells(lines[0], TAB), (*wanted, *known))
    if len(set(columns)) < len(columns) or not set(wanted) <= set(columns):
        raise ValueError(f"line 1 must name {', '.join(wanted)} and nothing twice, it is {lines[0][:80]!r}")
    rows: list[Row] = []
    for number, line in enumerate(lines[1:], start=2):
        if not stripped(line):
            continue
        fields = cells(line, TAB)
        if len(fields) != len(columns):
            raise ValueError(f"line {number} has {len(fields)} fields, the header has {len(columns)}")
        rows.append({c: None if is_missing(f) else f for c, f in zip(columns, fields, strict=True)})
    return rows


def _spelt_as(columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Column names. A name that differs from a known name in case alone gets the known spelling.

    If a name then occurs twice, both are kept, so that the table is refused like any other with a repeated column.
    """
    spelt = {name.casefold(): name for name in known if name not in columns}
    return [spelt.get(column.casefold(), column) for column in columns]
