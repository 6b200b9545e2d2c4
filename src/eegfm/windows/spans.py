"""Spans of recordings: tile segments with windows, and find the segment that holds a window."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.windows.runs import Ints

MAX_SAMPLE = np.int64(2**40)
"""350 years at 100 Hz. This is longer than any recording, and small enough to pack with a row number."""
_WIDTH = 2 * MAX_SAMPLE + 1


def nearest_sample(position: NDArray[np.floating]) -> Ints:
    """Sample nearest to a position counted in samples. A position beyond any recording stays beyond."""
    sample: Ints = np.clip(np.floor(position + 0.5), -MAX_SAMPLE, MAX_SAMPLE).astype(np.int64)
    return sample


def pack(recording: Ints, sample: Ints) -> Ints:
    """One sortable number per (recording, sample); samples from ``-MAX_SAMPLE`` to ``MAX_SAMPLE``."""
    packed: Ints = recording * _WIDTH + sample + MAX_SAMPLE
    return packed


def unpack(packed: Ints) -> tuple[Ints, Ints]:
    """Inverse of ``pack``."""
    return packed // _WIDTH, packed % _WIDTH - MAX_SAMPLE


def segments(recordings: pd.DataFrame) -> dict[str, Ints]:
    """Columns ``recording`` (the table's index label), ``segment``, ``start``, ``stop`` of every segment."""
    starts = [np.asarray(s, dtype=np.int64) for s in recordings["segment_starts"]]
    stops = [np.asarray(s, dtype=np.int64) for s in recordings["segment_stops"]]
    n_segments = np.array([len(s) for s in starts], dtype=np.int64)
    empty = np.zeros(0, dtype=np.int64)
    return {
        "recording": np.repeat(recordings.index.to_numpy(dtype=np.int64), n_segments),
        "segment": np.concatenate([empty, *(np.arange(n) for n in n_segments)]),
        "start": np.concatenate([empty, *starts]),
        "stop": np.concatenate([empty, *stops]),
    }


def n_fitting(starts: Ints, stops: Ints, length: int, stride: int) -> Ints:
    """Number of windows that fit into each stretch."""
    n: Ints = np.maximum((stops - starts - length) // stride + 1, 0)
    return n


def tile(starts: Ints, stops: Ints, length: int, stride: int) -> tuple[Ints, Ints]:
    """Fill stretches with windows: number of the stretch and first sample of each window."""
    n_windows = n_fitting(starts, stops, length, stride)
    span = np.repeat(np.arange(len(starts)), n_windows)
    within = np.arange(n_windows.sum()) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    return span, starts[span] + stride * within


def enclosing_segment(
    found: dict[str, Ints], recording: Ints, start: Ints, stop: Ints
) -> tuple[Ints, NDArray[np.bool_]]:
    """Number of the segment in which each stretch begins, and whether this segment holds the whole stretch.

    Args:
        found: Columns of ``segments``; recordings in rising order.
        recording: (W,) index label of the recording.
        start: (W,) first sample.
        stop: (W,) one past the last sample.
    """
    if not len(found["start"]):
        return np.zeros(len(start), dtype=np.int64), np.zeros(len(start), dtype=bool)
    keys = pack(found["recording"], found["start"])
    at = np.searchsorted(keys, pack(recording, np.maximum(start, 0)), side="right") - 1
    place = np.maximum(at, 0)
    inside = (at >= 0) & (found["recording"][place] == recording)
    inside &= (start >= found["start"][place]) & (stop <= found["stop"][place])
    return found["segment"][place], inside


def own_events(recordings: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, Ints]:
    """Events with an onset in these recordings, in the table's order, and the index labels of their recordings."""
    row_of = pd.Series(recordings.index, index=recordings["recording_id"])
    found = events[events["recording_id"].isin(row_of.index) & events["onset_s"].notna()]
    return found, row_of.loc[found["recording_id"]].to_numpy(dtype=np.int64)
