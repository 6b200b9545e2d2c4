"""A case of loose side files: what is written, and what the rules of docs/bids.md say of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "windows-1252", "utf-16", "utf-16-le", "utf-16-be")


@dataclass
class Case:
    """One folder, and what must become of it.

    Args:
        corpus: Configuration of the corpus.
        files: Side files by path.
        recordings: Paths of the recordings; all hold the same signal.
        done: What was drawn, in words.
        error: Regular expression of the error that ends the run; "" for none.
        codes: Codes of which one must reject the recording; none if it must get in.
        flags: By recording, all its flags.
        columns: By recording, columns of ``raw_files`` with their values; None for missing ones.
        events: ``(onset_s, duration_s, value)`` of the recording.
        bad_channels: Its bad channels.
        reference: Its reference.
    """

    corpus: dict[str, Any]
    recordings: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    error: str = ""
    codes: set[str] = field(default_factory=set)
    flags: dict[str, set[str]] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[float, float | None, str]] = field(default_factory=list)
    bad_channels: set[str] = field(default_factory=set)
    reference: str = "unknown"


class Draw:
    """Draws of one case."""

    def __init__(self, number: int) -> None:
        self._rng = np.random.default_rng([13, number])

    def chance(self, ratio: float) -> bool:
        """True in this share of the draws."""
        return bool(self._rng.random() < ratio)

    def one(self, *options: Any) -> Any:
        """One of the options."""
        return options[int(self._rng.integers(len(options)))]


Rows = list[list[str]]


def written(rows: Rows, draw: Draw, separator: str = "\t") -> tuple[bytes, bool]:
    """A table in some encoding, with some line ends, blanks or quotes, which mean nothing; and whether it is UTF-8."""
    encoding, end = draw.one(*ENCODINGS, "utf-8", "utf-8", "utf-8"), draw.one("\n", "\r\n", "\r")
    style = draw.one("plain", "plain", "plain", "quoted", "padded", "tail", "empty lines")
    if style == "quoted" or separator != "\t":
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    elif style == "padded":
        rows = [[f" {cell}  " for cell in row] for row in rows]
    tail = separator * 2 if style == "tail" else ""
    lines = [separator.join(row) + tail for row in rows]
    text = (end * 2 if style == "empty lines" else end).join(lines) + draw.one("", end)
    # A text in ASCII alone is UTF-8 in every encoding of 8 bits.
    return text.encode(encoding), encoding.startswith("utf-8") or (text.isascii() and "utf-16" not in encoding)


def marked(rows: Rows, draw: Draw) -> Rows:
    """The table with a column whose letters differ between encodings."""
    site = draw.one("Z\u00fcrich", "Bern")
    return [[*rows[0], "site"], *([*row, site] for row in rows[1:])]
