"""Find copies of one recording, in two formats or under two names. Only one of them is counted.

Signals decide, not bytes, because another format has other bytes, another resolution and another order of channels. Two
stored signals of one person with equal length are compared at a few places, frequency by frequency. Different
recordings differ at nearly every frequency by as much as their own power, even if both contain the same tone or hum.
Copies differ by noise only.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.jobs.ingest.copies_known import MAX_LENGTH_DIFFERENCE_S, known, preference
from eegfm.recording import person_id
from eegfm.signal.config import ReadParams
from eegfm.store.index import RecordingEntry
from eegfm.store.reader import SignalStore

PIECE_S = 4.0
N_PIECES = 8
MAX_DIFFERENCE = 0.5
"""Median share of the power that may differ. Different recordings differ by 2 (the least of 1,288 pairs of eegmmidb and
eegmat is 1.66). Copies with a step of 10 µV differ by 0.04, copies with a delay of 4 ms by 0.3."""
N_SCORED = 8
"""Number of channels that are compared first."""
MIN_SCORE = 0.3
"""Mean cosine of the differences in phase. It is about 0 for different recordings, above 0.7 for copies."""
MIN_EQUAL_RATIO = 0.75
"""Share of places that must be alike, among places with signal in both recordings."""


class _Spectra(NamedTuple):
    """Spectra of one stretch: (C, F), and the row of each channel by name."""

    rows: Mapping[str, int]
    values: NDArray[np.complex64]


def find_copies(
    store: SignalStore, raw_files: pd.DataFrame, patterns: Sequence[str] = ReadParams().bad_annotations
) -> dict[str, str]:
    """Find recordings that are copies of others of the same person. The copy with the most information is kept.

    The result depends on the contents of the store, not on the order of commits. Copies that were cut or shifted are
    not found.

    Args:
        store: All recordings.
        raw_files: Persons and paths of the recordings.
        patterns: ``ingest.reading.bad_annotations``.

    Returns:
        Path of the recording that is kept, by id of each copy.
    """
    rows = raw_files.set_index("recording_id").to_dict("index")
    groups: dict[str, list[RecordingEntry]] = defaultdict(list)
    for entry in store.entries:
        row = rows[entry.recording_id]
        groups[person_id(str(row["corpus"]), str(row["subject"]))].append(entry)
    copies: dict[str, str] = {}
    for group in groups.values():
        for alike in _of_one_length(group, MAX_LENGTH_DIFFERENCE_S * store.rate_hz):
            alike.sort(key=lambda entry: _preference(store, entry, rows[entry.recording_id], patterns))
            copies |= {copy: str(rows[kept]["path"]) for copy, kept in _copies_of_kept(store, alike)}
    return copies


def _of_one_length(entries: Iterable[RecordingEntry], tolerance: float) -> list[list[RecordingEntry]]:
    """Groups of at least two recordings. Sorted by length, neighbours have about the same length."""
    ordered = sorted(entries, key=lambda entry: entry.n_samples)
    groups = [ordered[:1]]
    for before, entry in pairwise(ordered):
        if entry.n_samples - before.n_samples > tolerance:
            groups.append([])
        groups[-1].append(entry)
    return [group for group in groups if len(group) > 1]


def _preference(
    store: SignalStore, entry: RecordingEntry, row: Mapping[Any, Any], patterns: Sequence[str]
) -> tuple[Any, ...]:
    return preference(known(store, entry, row, patterns), str(row["path"]))


def _copies_of_kept(store: SignalStore, entries: Sequence[RecordingEntry]) -> list[tuple[str, str]]:
    """Pairs of a copy and the first earlier recording that it equals."""
    phases, has, n_bins = _phases(store, entries)
    is_kept = np.zeros(len(entries), dtype=bool)
    copies = []
    for number, entry in enumerate(entries):
        n_common = has[is_kept] @ has[number]
        score = (phases[is_kept] @ phases[number].conj()).real / np.maximum(n_common * n_bins, 1)
        likely = np.flatnonzero(is_kept)[(score > MIN_SCORE) | (n_common == 0)]
        found = next((entries[k].recording_id for k in likely if _is_copy(store, entry, entries[k])), None)
        is_kept[number] = found is None
        if found is not None:
            copies.append((entry.recording_id, found))
    return copies


def _phases(
    store: SignalStore, entries: Sequence[RecordingEntry]
) -> tuple[NDArray[np.complex64], NDArray[np.float32], int]:
    """Phases of a few channels at one place. They distinguish most recordings.

    The place is the second piece if all recordings have one, because recorders have finished their calibration by then.

    Returns:
        (N, K F) phases; (N, K) True for channels with phases; F.
    """
    n = round(PIECE_S * store.rate_hz)
    start = n if min(entry.n_samples for entry in entries) >= 2 * n else 0
    counts = Counter(name for entry in entries for name in store.montages[entry.montage].channel_names)
    names = [name for name, _ in counts.most_common(N_SCORED)]
    phases = np.zeros((len(entries), len(names), _n_bins(store, n)), dtype=np.complex64)
    for number, entry in enumerate(entries):
        spectra = _spectra(store, entry, start)
        for place, name in enumerate(names):
            if name in spectra.rows:
                own = spectra.values[spectra.rows[name]]
                phases[number, place, : len(own)] = own / np.maximum(np.abs(own), np.finfo(np.float32).tiny)
    has = (np.abs(phases).max(axis=2) > 0).astype(np.float32)
    return phases.reshape(len(entries), -1), has, phases.shape[2]


def _n_bins(store: SignalStore, n: int) -> int:
    """Frequencies above zero in the pass band of n samples."""
    return int((store.filters.get("high_hz") or store.rate_hz / 2) * n / store.rate_hz)


def _is_copy(store: SignalStore, one: RecordingEntry, other: RecordingEntry) -> bool:
    """True if two recordings hold one signal, compared at places spread over both."""
    n, n_both = round(PIECE_S * store.rate_hz), min(one.n_samples, other.n_samples)
    if abs(one.n_samples - other.n_samples) > MAX_LENGTH_DIFFERENCE_S * store.rate_hz:
        return False
    starts = np.linspace(0, max(n_both - n, 0), N_PIECES).astype(int).tolist()
    differences = [_difference(_spectra(store, one, at), _spectra(store, other, at)) for at in starts]
    seen = [difference for difference in differences if not np.isnan(difference)]
    n_equal = sum(difference <= MAX_DIFFERENCE for difference in seen)
    return bool(seen) and n_equal >= MIN_EQUAL_RATIO * len(seen)


def _spectra(store: SignalStore, entry: RecordingEntry, start: int) -> _Spectra:
    """Spectra of a stretch from its start, without the mean."""
    stop = min(start + round(PIECE_S * store.rate_hz), entry.n_samples)
    piece = store.stretch(entry.recording_id, start, stop)
    spectra = np.fft.rfft(piece * np.hanning(len(piece))[:, None].astype(np.float32), axis=0)
    n_bins = _n_bins(store, len(piece))
    names = store.montages[entry.montage].channel_names
    return _Spectra({name: row for row, name in enumerate(names)}, spectra[1 : 1 + n_bins].T.astype(np.complex64))


def _difference(one: _Spectra, other: _Spectra) -> float:
    """Median over channels and frequencies of the share of the power that differs.

    NaN if half of the channels of the smaller montage are flat or have no counterpart. Such stretches do not count.
    """
    common = [name for name in one.rows if name in other.rows]
    n = min(one.values.shape[1], other.values.shape[1])
    a = one.values[[one.rows[name] for name in common], :n]
    b = other.values[[other.rows[name] for name in common], :n]
    lives = (np.abs(a).max(axis=1, initial=0) > 0) & (np.abs(b).max(axis=1, initial=0) > 0)
    if 2 * lives.sum() <= min(len(one.rows), len(other.rows)):
        return float("nan")
    a, b = a[lives], b[lives]
    power = (np.abs(a) ** 2 + np.abs(b) ** 2) / 2
    return float(np.median(np.abs(a - b) ** 2 / np.maximum(power, np.finfo(np.float32).tiny)))
