"""Read text tables. The side files of every corpus are read here.

Blanks around cells and column names have no meaning. Editors that align columns, spreadsheets and line ends of other
systems add such blanks. The content of a cell in double quotes is the text between the quotes.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eegfm.corpora.side_file_limits import check_shape
from eegfm.corpora.text_files import decode_file
from eegfm.signal.text import stripped

MISSING = frozenset({"n/a", ""})
TAB = "\t"
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)

Row = dict[str, str | None]
"""One line of a table by column. None stands for BIDS's ``n/a``, in any case, and for the empty cell."""


def is_missing(text: str) -> bool:
    """True if a cell or a value of a side file stands for a missing value."""
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


class Table(NamedTuple):
    """A table whose columns are known.

    Args:
        columns: Names of the columns, each once. Those without a name, and those of ``differing``, are left out.
        rows: The lines by column.
        lines: Number of each row's line in the file, from 1.
        odd_lines: Lines with another number of fields than the header. Their columns are unknown, so they are no rows.
        differing: Columns that stand twice with different values, with the first line where they differ; ``first`` is
            one of them although it is read.
        is_utf8: Whether the file is UTF-8, see ``decode_file``.
    """

    columns: list[str]
    rows: list[Row]
    lines: list[int]
    odd_lines: list[int]
    differing: dict[str, int]
    is_utf8: bool


def read_table(
    path: Path, required: Iterable[str], known: Iterable[str] = (), separator: str = TAB, first: str = ""
) -> Table:
    """Read all lines of a table.

    Empty fields behind the last column are ignored. A column that stands twice with the same values is one column.

    Args:
        path: The table.
        required: Required columns, in any case.
        known: Other columns whose names match in any case. The rows use the spelling given here.
        separator: Character between two fields.
        first: A column that must come first by the table's standard. If it stands twice with different values and is
            the first column, that one counts.

    Raises:
        ValueError: The file is no text, is too large (``side_file_limits``), or has not every required column once.
        OSError: The file cannot be read.
    """
    content = decode_file(path)
    lines = content.text.split("\n")
    check_shape(lines[0].count(separator) + 1, len(lines))
    wanted = tuple(required)
    columns = _spelt_as(_without_end(cells(lines[0], separator)), (*wanted, *known))
    fields_of: dict[int, list[str]] = {}
    odd_lines = []
    for number, line in enumerate(lines[1:], start=2):
        fields = cells(line, separator) if stripped(line) else []
        if not any(fields):
            continue
        fields = [*fields[: len(columns)], *_without_end(fields[len(columns) :])]
        if len(fields) == len(columns):
            fields_of[number] = fields
        else:
            odd_lines.append(number)
    differing = _differing(columns, fields_of)
    usable = set(columns) - set(differing) | ({first} if columns[:1] == [first] else set())
    if not set(wanted) <= usable:
        raise ValueError(f"line 1 must name {', '.join(wanted)} once, it is {lines[0][:80]!r}")
    kept: dict[str, int] = {}
    for at, name in enumerate(columns):
        if name and name in usable:
            kept.setdefault(name, at)
    rows = [{name: None if is_missing(f[at]) else f[at] for name, at in kept.items()} for f in fields_of.values()]
    return Table(list(kept), rows, list(fields_of), odd_lines, differing, content.is_utf8)


def _without_end(fields: Sequence[str]) -> list[str]:
    """Fields without the empty ones at their end."""
    n = len(fields)
    while n and not fields[n - 1]:
        n -= 1
    return list(fields[:n])


def _differing(columns: Sequence[str], fields_of: Mapping[int, Sequence[str]]) -> dict[str, int]:
    """Columns that stand twice with different values, with the first line where they differ."""
    differing: dict[str, int] = {}
    for name in [name for name, n in Counter(columns).items() if name and n > 1]:
        places = [at for at, other in enumerate(columns) if other == name]
        for number, fields in fields_of.items():
            if len({fields[at] for at in places}) > 1:
                differing[name] = number
                break
    return differing


def _spelt_as(columns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Column names. A name that differs from a known name in case alone gets the known spelling.

    If a name then occurs twice, both are kept, as in any other table with a repeated column.
    """
    spelt = {name.casefold(): name for name in known if name not in columns}
    return [spelt.get(column.casefold(), column) for column in columns]
