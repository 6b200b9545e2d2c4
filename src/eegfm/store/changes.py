"""Say why a store starts empty: which parameter, which code or which library differs from the one that made it."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eegfm.errors import StoreError
from eegfm.store.index import RecordingEntry, read_index
from eegfm.store.layout import StoreFacts, is_of_this_format, read_facts, write_facts

_log = logging.getLogger(__name__)

Before = Callable[[Collection[str], str], None]
"""Takes the ids of the stored recordings and the raw folder of the last run."""
_N_SHOWN = 5


def is_stale(folder: Path, facts: StoreFacts, before: Before) -> bool:
    """True if a store must start empty. If so, the log says why, and what that costs.

    Args:
        folder: The store.
        facts: Facts of the run. What they say beyond the store's own facts is written into the store.
        before: Called before anything is changed; it may raise an error.
    """
    if not is_of_this_format(folder):
        _log.warning("%s starts empty: another version of eegfm wrote it, in another format", folder)
        return True
    stored, recordings = read_facts(folder), stored_recordings(folder)
    before(recordings, stored.raw_folder)
    if stored != facts:
        _log.warning(
            "%s starts empty, and its %d recordings are converted again: %s",
            *(folder, len(recordings), described_changes(stored, facts)),
        )
        return True
    if stored.made_from != facts.made_from:
        write_facts(folder, replace(facts, raw_folder=stored.raw_folder))
    return False


def stored_recordings(folder: Path) -> frozenset[str]:
    """Ids of the recordings in a store; none if its index cannot be read, as that of a store that starts empty."""
    try:
        return frozenset(i for i, entry in read_index(folder).items() if isinstance(entry, RecordingEntry))
    except (StoreError, KeyError, TypeError):
        return frozenset()


def described_changes(old: StoreFacts, new: StoreFacts) -> str:
    """Differences between the facts of a store and those of a run, in one line: parameters, then code, then libraries.

    Args:
        old: Facts of the store.
        new: Facts of the run.
    """
    if not old.made_from or not new.made_from:
        return "parameters or code changed; it does not say which, because an earlier eegfm wrote it"
    found = [
        *(f"{name} {before!r} -> {after!r}" for name, before, after in _differing(old, new, "parameters")),
        *_code(old, new),
        *(f"{name} {before} -> {after}" for name, before, after in _differing(old, new, "libraries")),
    ]
    if old.is_simulated != new.is_simulated:
        found.insert(0, f"simulated {old.is_simulated} -> {new.is_simulated}")
    return "; ".join(found) or "the way in which its parameters and code are counted changed"


def _code(old: StoreFacts, new: StoreFacts) -> list[str]:
    names = [name for name, _, _ in _differing(old, new, "code")]
    more = f" and {len(names) - _N_SHOWN} more" if len(names) > _N_SHOWN else ""
    return [f"the code of {', '.join(names[:_N_SHOWN])}{more} changed"] if names else []


def _differing(old: StoreFacts, new: StoreFacts, kind: str) -> list[tuple[str, Any, Any]]:
    before: Mapping[str, Any] = old.made_from.get(kind, {})
    after: Mapping[str, Any] = new.made_from.get(kind, {})
    names = sorted(before.keys() | after.keys())
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
