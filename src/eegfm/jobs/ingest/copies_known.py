"""Choose the copy of a recording to keep, and report how the copies differ.

Copies hold the same signal. Their notes, side files, labels and channels may still differ.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eegfm.corpora.base import RAW_FILE_COLUMNS
from eegfm.jobs.ingest.tables import Kept, is_missing
from eegfm.signal.processing.bad_stretches import is_on_channels, says_bad
from eegfm.signal.processing.quality import BAD_FLAGS
from eegfm.store.index import RecordingEntry
from eegfm.store.reader import SignalStore

FORMATS = (".bdf", ".vhdr", ".set", ".edf")
"""Order of formats, by resolution and closeness to the recorder. It decides between copies with equal information."""
MAX_LENGTH_DIFFERENCE_S = 2.0
"""Largest difference in length. EDF is written in whole records, usually of one second."""
DIFFERS = "copy_differs"
_SIGNAL_FLAGS = BAD_FLAGS - {"marked_bad"}
_LABELS = ("bids_task", "age_years", "sex")
"""Labels that a recording's own files may state. The corpus's own columns are labels too."""

_Mark = tuple[float, float, str]
"""Onset and duration in seconds of the stored samples, and text."""


@dataclass(frozen=True)
class Known:
    """Information about one stored recording besides its samples.

    Args:
        usable_s: Seconds in segments and in stretches that are annotated bad.
        has_signal: Channels whose signal shows no fault.
        marked_bad: Channels that a side file calls bad.
        events: Events that call no stretch bad.
        bad: Stretches that are annotated bad.
        reference: Reference of the recording.
        labels: Labels with a value.
        tolerance_s: One sample of the raw file.
    """

    usable_s: float
    has_signal: frozenset[str]
    marked_bad: frozenset[str]
    events: tuple[_Mark, ...]
    bad: tuple[_Mark, ...]
    reference: str
    labels: Mapping[str, Any]
    tolerance_s: float


def known(store: SignalStore, entry: RecordingEntry, row: Mapping[Any, Any], patterns: Sequence[str]) -> Known:
    """Collect the information about a recording.

    Args:
        store: Store of the recording.
        entry: The recording.
        row: Its row of ``raw_files``.
        patterns: ``ingest.reading.bad_annotations``.
    """
    facts, flags = entry.facts, set(entry.facts["flags"])
    names = store.montages[entry.montage].channel_names
    faulty = {name for name in facts["bad_channels"] if any(f"{flag}:{name}" in flags for flag in _SIGNAL_FLAGS)}
    n_samples = sum(facts["segment_stops"]) - sum(facts["segment_starts"])
    bad_s = sum(float(flag.partition(":")[2]) for flag in flags if flag.startswith("bad_s:"))
    stated = {**facts, **{name: value for name, value in row.items() if not is_missing(value)}}
    labels = {name: stated.get(name) for name in (*(n for n in row if n not in RAW_FILE_COLUMNS), *_LABELS)}
    return Known(
        usable_s=n_samples / store.rate_hz + bad_s,
        has_signal=frozenset(names) - faulty,
        marked_bad=frozenset(name for name in names if f"marked_bad:{name}" in flags),
        events=_marks(event for event in entry.events if not says_bad(event, patterns)),
        bad=_marks(event for event in entry.events if says_bad(event, patterns) and not is_on_channels(event)),
        reference=facts["reference"],
        labels={name: value for name, value in labels.items() if not is_missing(value)},
        tolerance_s=1 / facts["original_rate_hz"],
    )


def preference(one: Known, path: str) -> tuple[Any, ...]:
    """Sort key of copies; the smallest is kept. Most information comes first, then the format, then the path."""
    suffix = f".{path.rpartition('.')[2].lower()}"
    return (
        -len(one.has_signal),
        -len(one.events),
        -len(one.marked_bad),
        -len(one.bad),
        one.reference == "unknown",
        -len(one.labels),
        -(one.usable_s // MAX_LENGTH_DIFFERENCE_S),
        FORMATS.index(suffix) if suffix in FORMATS else len(FORMATS),
        path,
    )


def compare_copies(
    store: SignalStore, raw_files: pd.DataFrame, copies: Mapping[str, str], patterns: Sequence[str]
) -> dict[str, Kept]:
    """Describe the differences between each kept recording and its copies.

    Args:
        store: All recordings.
        raw_files: Rows of the recordings.
        copies: Path of the recording that is kept, by id of each copy.
        patterns: ``ingest.reading.bad_annotations``.

    Returns:
        Differences by id of the kept recording; recordings without differences are left out.
    """
    rows = {str(row["recording_id"]): row for row in raw_files.to_dict("records")}
    ids = {str(row["path"]): name for name, row in rows.items()}
    entries = {entry.recording_id: entry for entry in store.entries}
    groups: dict[str, list[str]] = defaultdict(list)
    for copy, path in sorted(copies.items()):
        groups[ids[path]].append(copy)
    out = {}
    for kept, others in groups.items():
        own, *theirs = (known(store, entries[name], rows[name], patterns) for name in (kept, *others))
        flags = sorted({f"{DIFFERS}:{what}" for other in theirs for what in _differences(own, other)})
        foreign = {mark[:2] for other in theirs if not _alike(own.bad, other.bad, own, other) for mark in other.bad}
        if flags:
            out[kept] = Kept(tuple(flags), tuple(sorted(foreign)))
    return out


def _differences(one: Known, other: Known) -> list[str]:
    common = one.has_signal & other.has_signal
    faulty = (one.has_signal ^ other.has_signal) | ((one.marked_bad ^ other.marked_bad) & common)
    differs = {
        "events": not _alike(one.events, other.events, one, other),
        "bad_stretches": not _alike(one.bad, other.bad, one, other),
        "bad_channels": bool(faulty),
        "labels": one.labels != other.labels,
        "reference": one.reference != other.reference,
        "seconds": abs(one.usable_s - other.usable_s) > MAX_LENGTH_DIFFERENCE_S,
    }
    return [what for what, is_so in differs.items() if is_so]


def _alike(some: Sequence[_Mark], others: Sequence[_Mark], one: Known, other: Known) -> bool:
    """True if two lists are equal up to one sample."""
    tolerance_s = max(one.tolerance_s, other.tolerance_s) + 1e-6
    return len(some) == len(others) and all(
        a[2] == b[2] and abs(a[0] - b[0]) <= tolerance_s and abs(a[1] - b[1]) <= 2 * tolerance_s
        for a, b in zip(_by_text(some), _by_text(others), strict=True)
    )


def _by_text(marks: Iterable[_Mark]) -> list[_Mark]:
    return sorted(marks, key=lambda mark: (mark[2], mark[0], mark[1]))


def _marks(events: Iterable[Mapping[str, Any]]) -> tuple[_Mark, ...]:
    found = []
    for event in events:
        duration_s = event.get("duration_s") or 0.0
        found.append((float(event["onset_s"]), duration_s if math.isfinite(duration_s) else 0.0, str(event["value"])))
    return tuple(sorted(found))
