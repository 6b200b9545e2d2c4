"""Refuse configured names that match nothing in the data, and list the names that do."""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from eegfm.errors import ConfigError

_N_LISTED = 20


def refuse_unmatched(where: str, names: Collection[str], values: "pd.Series[Any]", what: str, why: str = "") -> None:
    """Refuse configured names that no row of the corpus has.

    Args:
        where: The parameter that holds the names, e.g. ``cut 'hands': anchors.left.values``.
        names: Configured names.
        values: Existing values, one per row of the whole corpus.
        what: Kind of the rows, e.g. ``events (column 'value')``.
        why: Known reason, appended to the message.

    Raises:
        ConfigError: Lists the names that match nothing, the existing values with their counts, and close names.
    """
    known = [str(value) for value in _present(values).unique()]
    unmatched = [name for name in names if name not in known]
    if unmatched:
        meant = dict.fromkeys(close for name in unmatched for close in close_names(name, known))
        hint = f"did you mean {', '.join(map(repr, meant))}? Otherwise " if meant else ""
        raise ConfigError(
            f"{where}: {', '.join(map(repr, unmatched))} matches none of {len(values)} {what}; there are: "
            f"{counted_values(values)}; {hint}correct it or leave it out{why}"
        )


def counted_values(values: "pd.Series[Any]") -> str:
    """The values with their counts, the most frequent first, e.g. ``'left' 48, 'Rest' 12``."""
    counts = _present(values).value_counts()
    listed = [f"{value!r} {n}" for value, n in sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:_N_LISTED]]
    n_more = len(counts) - len(listed)
    return ", ".join([*listed, *([f"and {n_more} others"] if n_more else [])]) or "no values at all"


def close_names(name: str, known: Sequence[str]) -> list[str]:
    """Known names that differ in blanks or case alone, or else the closest name."""
    same = [other for other in known if _folded(other) == _folded(name)]
    if same:
        return same
    by_folded = {_folded(other): other for other in known}
    return [by_folded[close] for close in difflib.get_close_matches(_folded(name), list(by_folded), n=1)]


def _folded(name: str) -> str:
    return "".join(name.casefold().split())


def _present(values: "pd.Series[Any]") -> "pd.Series[Any]":
    texts = values[values.notna()].astype("str")
    return texts[texts != ""]
