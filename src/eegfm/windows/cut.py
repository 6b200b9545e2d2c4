"""Cut recordings into windows: vectorised, tables in, tables out, no signal touched.

A window never crosses the edge of a segment, so it never spans a gap and never leaves its recording. An event's
``onset_s`` counts in the recording's own samples: sample k lies at k / rate_hz seconds.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import CueAnchor, CueCut, CutConfig, FixedCut, RecordingLabelCut, WindowParams

logger = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Counts = dict[str, dict[str, float]]
"""By cut, then by what is counted: ``n_recordings``, ``n_windows``, ``n_samples``, ``hours``, ..."""

COLUMNS = {
    "recording_id": "str",
    "corpus": "str",
    "montage": "str",
    "person": "str",
    "task": "str",
    "segment": "int32",
    "start": "int64",
    "n_samples": "int32",
    "label": "str",
    "target": "float64",
}
_MAX_SAMPLE = np.int64(2**40)  # 350 years at 100 Hz: beyond any recording, small enough to pack with a row number


def cut_windows(recordings: pd.DataFrame, events: pd.DataFrame, params: WindowParams) -> tuple[pd.DataFrame, Counts]:
    """Cut every recording of one corpus as configured.

    Args:
        recordings: One row per recording, with ``segment_starts`` and ``segment_stops`` in samples.
        events: One row per event: ``recording_id``, ``onset_s``, ``value``.
        params: The cuts, by name.

    Returns:
        One row per window with the columns of ``COLUMNS`` (``label`` is missing where a cut has none), in the
        order of cut, recording and start whatever the order of the input; and the counts by cut. ``n_samples``
        and ``hours`` of the counts are summed over windows, so overlapping windows count twice.

    Raises:
        SplitError: There are no recordings, or a cut gives no window.
        ConfigError: A length is not a whole number of samples, a column is missing, or rates are mixed.
    """
    if recordings.empty:
        raise SplitError("no recordings to cut; see the rejected table of the corpus for the reasons")
    recordings = recordings.sort_values("recording_id", ignore_index=True)
    rate_hz = _single_rate(recordings)
    tables: list[pd.DataFrame] = []
    counts: Counts = {}
    for task, cut in params.cuts.items():
        found = _cut(cut, recordings, events, _Clock(rate_hz, task))
        counts[task] = _count(found, rate_hz)
        described = ", ".join(f"{name} {value:.6g}" for name, value in counts[task].items())
        if not len(found.start):
            raise SplitError(f"cut {task!r} gives no window of {len(recordings)} recordings ({described})")
        logger.info("%s, cut %r: %s", recordings["corpus"].iloc[0], task, described)
        tables.append(_table(found, recordings, task))
    return pd.concat(tables, ignore_index=True), counts


@dataclass(frozen=True)
class _Clock:
    """Seconds to whole samples, with the name of the cut for messages."""

    rate_hz: float
    task: str

    def samples(self, key: str, seconds: float) -> int:
        n = seconds * self.rate_hz
        if abs(n - round(n)) > 1e-6:
            raise ConfigError(
                f"cut {self.task!r}: {key} {seconds:g} is {n:g} samples at {self.rate_hz:g} Hz; "
                f"choose a multiple of {1 / self.rate_hz:g} s"
            )
        return round(n)


@dataclass(frozen=True)
class _Found:
    """Windows as columns: row of the recording, segment, first sample, label; and what the cut counted."""

    recording: Ints
    segment: Ints
    start: Ints
    n_samples: int
    label: NDArray[np.object_] | None
    counted: dict[str, int]


@singledispatch
def _cut(cut: CutConfig, recordings: pd.DataFrame, events: pd.DataFrame, clock: _Clock) -> _Found:
    raise AssertionError(f"no cutter for {type(cut).__name__}")


@_cut.register
def _cut_fixed(cut: FixedCut, recordings: pd.DataFrame, events: pd.DataFrame, clock: _Clock) -> _Found:
    length, stride = clock.samples("length_s", cut.length_s), clock.samples("stride_s", cut.stride_s)
    recording, segment, start = _tile_segments(_segments(recordings), length, stride)
    counted = {"n_recordings_without_window": len(recordings) - len(np.unique(recording))}
    return _Found(recording, segment, start, length, None, counted)


@_cut.register
def _cut_by_recording(cut: RecordingLabelCut, recordings: pd.DataFrame, events: pd.DataFrame, clock: _Clock) -> _Found:
    if cut.column not in recordings:
        raise ConfigError(
            f"cut {clock.task!r}: recordings have no column {cut.column!r}; there are {sorted(map(str, recordings))}"
        )
    length, stride = clock.samples("length_s", cut.length_s), clock.samples("stride_s", cut.stride_s)
    label_of_value = {value: label for label, values in cut.classes.items() for value in values}
    labels = np.array([label_of_value.get(str(v)) for v in recordings[cut.column]], dtype=object)
    labelled = pd.notna(labels)
    recording, segment, start = _tile_segments(_segments(recordings[labelled]), length, stride)
    counted = {
        "n_recordings_without_label": int((~labelled).sum()),
        "n_recordings_without_window": int(labelled.sum()) - len(np.unique(recording)),
    }
    return _Found(recording, segment, start, length, labels[recording], counted)


@_cut.register
def _cut_after_cues(cut: CueCut, recordings: pd.DataFrame, events: pd.DataFrame, clock: _Clock) -> _Found:
    length, stride = clock.samples("length_s", cut.length_s), clock.samples("stride_s", cut.stride_s)
    chosen = recordings[recordings["task"] == cut.bids_task] if cut.bids_task else recordings
    cues = _find_cues(cut.anchors, chosen, events, clock)
    cue, start = _tile(cues["start"], cues["stop"], length, stride)
    in_time = start + length <= cues["limit"][cue]
    recording, segments = cues["recording"][cue], _segments(chosen)
    segment, inside = _enclosing_segment(segments, recording, start, start + length)
    # What a cue asked for may have ended in a gap after it.
    onset = cues["onset"][cue]
    cue_segment, _ = _enclosing_segment(segments, recording, onset, onset + 1)
    inside &= segment == cue_segment
    kept = in_time & inside
    # The same cue written twice gives each window once.
    order = np.lexsort((start[kept], recording[kept]))
    index = np.flatnonzero(kept)[order]
    same = (np.diff(recording[index], prepend=-1) == 0) & (np.diff(start[index], prepend=-1) == 0)
    index = index[~same]
    counted = {
        "n_recordings_without_window": len(chosen) - len(np.unique(recording[index])),
        "n_cues": len(cues["start"]),
        "n_cues_without_window": len(cues["start"]) - len(np.unique(cue[kept])),
        "n_windows_out_of_range": int((~inside).sum()),
        "n_windows_after_next_cue": int((inside & ~in_time).sum()),
    }
    labels = np.array(list(cut.anchors), dtype=object)[cues["label"][cue[index]]]
    return _Found(recording[index], segment[index], start[index], length, labels, counted)


def _find_cues(
    anchors: Mapping[str, CueAnchor], recordings: pd.DataFrame, events: pd.DataFrame, clock: _Clock
) -> dict[str, Ints]:
    """Columns of every cue: recording row, label, sample, stretch after it, and where another label begins."""
    row_of = pd.Series(recordings.index, index=recordings["recording_id"])
    label_of = {anchor.value: number for number, anchor in enumerate(anchors.values())}
    wanted = events["recording_id"].isin(row_of.index) & events["value"].isin(label_of.keys())
    found = events[wanted & events["onset_s"].notna()]
    recording = row_of.loc[found["recording_id"]].to_numpy(dtype=np.int64)
    label = np.asarray(found["value"].map(label_of), dtype=np.int64)
    onset = found["onset_s"].to_numpy(dtype=float)
    offsets = np.array([anchor.offset_s for anchor in anchors.values()])
    spans = np.array([clock.samples("span_s", anchor.span_s) for anchor in anchors.values()], dtype=np.int64)
    start = _nearest_sample((onset + offsets[label]) * clock.rate_hz)
    limit = _next_of_other_label(recording, _nearest_sample(onset * clock.rate_hz), label)
    return {
        "recording": recording,
        "label": label,
        "onset": _nearest_sample(onset * clock.rate_hz),
        "start": start,
        "stop": start + spans[label],
        "limit": limit,
    }


def _nearest_sample(position: NDArray[np.floating]) -> Ints:
    sample: Ints = np.clip(np.floor(position + 0.5), -_MAX_SAMPLE, _MAX_SAMPLE).astype(np.int64)
    return sample


def _next_of_other_label(recording: Ints, onset: Ints, label: Ints) -> Ints:
    """Sample at which the next cue of another label begins in the same recording, or a sample beyond all."""
    width = 2 * _MAX_SAMPLE + 1
    key = recording * width + onset + _MAX_SAMPLE
    limit: Ints = np.full(len(key), 2 * _MAX_SAMPLE, dtype=np.int64)
    for number in np.unique(label):
        others, mine = np.sort(key[label != number]), label == number
        if len(others):
            at = np.searchsorted(others, key[mine], side="left")
            following = others[np.minimum(at, len(others) - 1)]
            same = (at < len(others)) & (following // width == recording[mine])
            limit[mine] = np.where(same, following % width - _MAX_SAMPLE, 2 * _MAX_SAMPLE)
    return limit


def _segments(recordings: pd.DataFrame) -> dict[str, Ints]:
    """Columns of every segment, ordered by recording row and start; the row is the table's index label."""
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


def _tile_segments(segments: dict[str, Ints], length: int, stride: int) -> tuple[Ints, Ints, Ints]:
    """Recording row, segment number and first sample of every window that fits."""
    span, start = _tile(segments["start"], segments["stop"], length, stride)
    return segments["recording"][span], segments["segment"][span], start


def _tile(starts: Ints, stops: Ints, length: int, stride: int) -> tuple[Ints, Ints]:
    """Fill spans with windows: number of the span and first sample of each window."""
    n_windows = np.maximum((stops - starts - length) // stride + 1, 0)
    span = np.repeat(np.arange(len(starts)), n_windows)
    within = np.arange(n_windows.sum()) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    return span, starts[span] + stride * within


def _enclosing_segment(
    segments: dict[str, Ints], recording: Ints, start: Ints, stop: Ints
) -> tuple[Ints, NDArray[np.bool_]]:
    """Segment number that each window begins in, and whether the window lies in it as a whole."""
    if not len(segments["start"]):
        return np.zeros(len(start), dtype=np.int64), np.zeros(len(start), dtype=bool)
    width = 2 * _MAX_SAMPLE + 1
    keys = segments["recording"] * width + segments["start"]
    at = np.searchsorted(keys, recording * width + np.maximum(start, 0), side="right") - 1
    found = np.maximum(at, 0)
    inside = (at >= 0) & (segments["recording"][found] == recording)
    inside &= (start >= segments["start"][found]) & (stop <= segments["stop"][found])
    return segments["segment"][found], inside


def _count(found: _Found, rate_hz: float) -> dict[str, float]:
    n_windows = len(found.start)
    return {
        "n_recordings": len(np.unique(found.recording)),
        "n_windows": n_windows,
        "n_samples": n_windows * found.n_samples,
        "hours": n_windows * found.n_samples / rate_hz / 3600,
        **found.counted,
    }


def _table(found: _Found, recordings: pd.DataFrame, task: str) -> pd.DataFrame:
    table = recordings[["recording_id", "corpus", "montage", "person"]].iloc[found.recording]
    table = table.assign(
        task=task,
        segment=found.segment,
        start=found.start,
        n_samples=found.n_samples,
        label=pd.Series(found.label, index=table.index, dtype="str") if found.label is not None else None,
        target=np.nan,
    )
    return table[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)


def _single_rate(recordings: pd.DataFrame) -> float:
    rates = sorted(set(recordings["rate_hz"]))
    if len(rates) > 1:
        raise ConfigError(f"recordings come at {rates} Hz; windows need one rate, ingest the corpus again")
    return float(rates[0])
