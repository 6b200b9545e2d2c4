"""Options of ``ingest.reading`` that no recording has a use for. They would have no effect, silently."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from eegfm.corpora.base import OPTIONS_USED
from eegfm.printable import one_line
from eegfm.signal.config import ReadParams
from eegfm.signal.units import unit_key
from eegfm.store.reader import SignalStore

_N_SHOWN = 5


def unused_options(store: SignalStore, recordings: pd.DataFrame, reading: ReadParams, corpus: str) -> tuple[str, ...]:
    """One line for the units, and one for the options for names, that no recording has. None for an empty store.

    Args:
        store: The recordings with their facts, copies among them.
        recordings: Table of the recordings.
        reading: The options.
        corpus: Name for the message.
    """
    if recordings.empty:
        return ()
    return (*_unused_units(recordings, reading.units, corpus), *_unused_names(store, reading, corpus))


def _unused_units(recordings: pd.DataFrame, units: Mapping[str, str], corpus: str) -> tuple[str, ...]:
    found = recordings["units"].explode().value_counts()
    keys = {unit_key(unit) for unit in found.index}
    unused = ", ".join(repr(unit) for unit in units if unit_key(unit) not in keys)
    if not unused:
        return ()
    there = ", ".join(f"{unit!r} {n}" for unit, n in found.items())
    return (f"{corpus}: no recording has the unit {unused} of {corpus}.ingest.reading.units; there are: {there}",)


def _unused_names(store: SignalStore, reading: ReadParams, corpus: str) -> tuple[str, ...]:
    """Labels that are not understood are the best examples: a key may be a slip in one of them."""
    given = {"renames": (*reading.renames,), "prefixes": reading.prefixes, "suffixes": reading.suffixes}
    used = {key for entry in store.entries for key in entry.facts.get(OPTIONS_USED, ())}
    left = {option: [key for key in keys if f"{option}.{key}" not in used] for option, keys in given.items()}
    unused = " and ".join(f"{option} ({', '.join(map(repr, keys))})" for option, keys in left.items() if keys)
    if not unused:
        return ()
    labels = Counter(label for entry in store.entries for label in entry.facts["labels_not_understood"])
    labels = labels or Counter(label for entry in store.entries for label in entry.facts["labels_left_out"])
    names = labels or Counter(name for key in store.montages for name in store.montages[key].channel_names)
    kind = "labels that are no electrodes" if labels else "electrodes"
    there = ", ".join(repr(name) for name, _ in names.most_common(_N_SHOWN))
    more = ", …" if len(names) > _N_SHOWN else ""
    return (
        one_line(
            f"{corpus}: no recording has a label that these options of {corpus}.ingest.reading change: {unused}; "
            f"{kind} there: {there}{more}"
        ),
    )
