"""List the files of a simulated corpus, each with a function that makes its bytes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedFile:
    """One file of a corpus.

    Attributes:
        path: Relative to the root of the corpus, with forward slashes.
        render: Function that makes the bytes; slow for signals.
    """

    path: str
    render: Callable[[], bytes]


def text(path: str, content: str) -> PlannedFile:
    """Plan a text file."""
    return PlannedFile(path, content.encode)


def json_text(content: Mapping[str, object]) -> str:
    """Format as the BIDS tools do."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def tsv_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Join a table. Missing values are ``n/a`` already."""
    assert all(len(row) == len(columns) for row in rows), "one value per column"
    return "".join("\t".join(row) + "\n" for row in (columns, *rows))
