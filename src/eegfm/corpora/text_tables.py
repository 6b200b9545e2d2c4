"""Read text tables. The side files of every corpus are read here.

Blanks around cells and column names mean nothing, whoever put them there: editors that line columns up, spreadsheets,
other systems' line ends. A cell in double quotes is what stands between them.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from eegfm.signal.text import stripped

MISSING = frozenset({"n/a", ""})
TAB = "\t"
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)

Row = dict[str, str | None]
"""One line of a table by column; None is BIDS's ``n/a``, in any case, and the empty cell."""


def is_missing(text: str) -> bool:
    """Whether a cell or a value of a side file stands for none."""
    return stripped(text).casefold() in MISSING


def cells(line: str, separator: str) -> list[str]:
    """Cells of a line without blanks and quotes around them; a separator inside quotes belongs to its cell."""
    parts = line.split(separator)
    if '"' not in line:
        return [stripped(part) for part in parts]
    found = []
    while parts:
        n_parts, cell = _quoted(parts, separator) or (1, parts[0])
        found.append(stripped(cell))
        del parts[:n_parts]
    return found


def _quoted(parts: Sequence[str], separator: str) -> tuple[int, str] | None:
    """Number of parts that the quoted cell at their start spans, and its text; None where no such cell starts."""
    if not stripped(parts[0]).startswith('"'):
        return None
    for n_parts in range(1, len(parts) + 1):
        match = _QUOTED.fullmatch(stripped(separator.join(parts[:n_parts])))
        if match:
            return n_parts, match[1].replace('""', '"')
    return None


def read_table(path: Path, required: Iterable[str], known: Iterable[str] = ()) -> list[Row]:
    """All lines of a tab-separated table that must have some columns.

    Args:
        path: The table.
        required: Columns that it must have, in any case.
        known: Other columns whose names count in any case; they stand in the rows as they are spelt here.

    Raises:
        ValueError: It is no UTF-8, lacks or repeats a column, or a line has more or fewer fields than the header, so
            that its columns cannot be told.
        OSError: It cannot be read.
    """
    lines = path.read_text(encoding="utf-8-sig").split("\n")
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
    """Column names, those that differ from a known one in their case alone spelt as it is.

    A name that stands there twice in this way is left twice, so that it is refused as any other.
    """
    spelt = {name.casefold(): name for name in known if name not in columns}
    return [spelt.get(column.casefold(), column) for column in columns]
