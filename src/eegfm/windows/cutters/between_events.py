"""Windows between a start event and a stop event, numbered by the time since the start."""

from dataclasses import replace
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated, refuse_unused
from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.cutters.event_locked import check_event_values, refuse_missing_column
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import nearest_sample, own_events, pack, segments

Floats = NDArray[np.float64]


class BetweenEventsCut(Cut):
    """Windows at a stride from each start event to the stop event after it, without labels.

    The windows lie on a grid whose time zero is the start event. Their ``moment`` is their number on this grid. Equal
    moments are equal times since the start event, in every recording. A window that touches a gap is dropped, and the
    grid continues after the gap.

    Attributes:
        start: Values of the start events.
        stop: Values of the stop events. If empty, a stretch ends with the segment of its start event, or at the next
            start event.
        column: Column of the events table that holds the values.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
        without_stop: Treatment of a start event without a stop event before the next start: ``leave_out``, or
            ``to_segment_end``, which ends the stretch as if no stop events were named.
    """

    name: Literal["between_events"] = "between_events"
    start: tuple[str, ...] = Field(min_length=1)
    stop: tuple[str, ...] = ()
    column: str = "value"
    length_s: Seconds
    stride_s: Seconds | None = None
    without_stop: Literal["leave_out", "to_segment_end"] = "leave_out"

    @model_validator(mode="after")
    def _values_are_distinct(self) -> Self:
        refuse_repeated([*self.start, *self.stop], "event value")
        if not self.stop:
            refuse_unused(self, ["without_stop"], "where no stop events are named")
        return self

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has; see the base class."""
        check_event_values({"start": self.start, "stop": self.stop}, recordings, events, sample_grid, self.column)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut between the events; see the base class.

        Counts, besides those of ``windows_between``: ``n_recordings_without_window``, ``n_events`` (start events, each
        time once) and ``n_events_without_stop``.
        """
        refuse_missing_column(events, sample_grid, self.column)
        recording, start_s = _distinct_times(recordings, events[events[self.column].isin(self.start)])
        stops = _distinct_times(recordings, events[events[self.column].isin(self.stop)])
        next_s, stop_s = _first_after((recording, start_s), recording, start_s), _first_after(stops, recording, start_s)
        has_stop = stop_s <= np.where(np.isnan(next_s), np.inf, next_s)  # NaN is not
        end_s = np.fmin(next_s, _segment_end_s(recordings, recording, start_s, sample_grid.rate_hz))
        stop_s = np.where(has_stop, stop_s, end_s)
        kept = has_stop | (not self.stop) | (self.without_stop == "to_segment_end")
        runs, _ = windows_between(
            recordings, sample_grid, recording[kept], start_s[kept], stop_s[kept], self.length_s, self.stride_s
        )
        counted = {
            "n_recordings_without_window": len(recordings) - len(np.unique(runs.recording)),
            "n_events": len(start_s),
            "n_events_without_stop": int((~has_stop).sum()) if self.stop else 0,
        }
        return replace(runs, counted={**counted, **runs.counted})


def windows_between(
    recordings: pd.DataFrame,
    sample_grid: SampleGrid,
    recording: Ints,
    start_s: Floats,
    stop_s: Floats,
    length_s: float,
    stride_s: float | None = None,
) -> tuple[Runs, Ints]:
    """Windows at a stride inside stretches of time, numbered from the start of each stretch.

    Args:
        recordings: Rows in rising order of their index, with ``segment_starts``, ``segment_stops`` and, if known,
            ``segment_onsets_s`` (recording time). Without the last column there are no gaps in time.
        sample_grid: Rate, and name of the cut.
        recording: (E,) index label of each stretch's recording.
        start_s: (E,) time zero of each stretch, in the time of the stored samples.
        stop_s: (E,) its end, not before its start.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.

    Returns:
        One run per stretch and segment, with ``moment``, and the number of each run's stretch. Counted:
        ``n_events_out_of_range`` (stretches that start outside the recording), ``n_events_without_window``, and
        ``n_windows_out_of_range`` (windows of the grids that touch a gap or the recording's end).
    """
    length, stride = sample_grid.samples("length_s", length_s), sample_grid.samples("stride_s", stride_s or length_s)
    found = segments(recordings)
    _, in_range = _segment_at(found, recording, start_s, sample_grid.rate_hz)
    stretch = np.flatnonzero(in_range)
    lost = _samples_lost(recordings, found, sample_grid.rate_hz)
    part, row, zero, end = _parts(
        found, lost, recording[stretch], start_s[stretch], stop_s[stretch], sample_grid.rate_hz
    )
    base, stop = nearest_sample(zero[part] - lost[row]), nearest_sample(end[part] - lost[row])
    moment = -(-np.maximum(found["start"][row] - base, 0) // stride)
    n_windows = (np.minimum(found["stop"][row], stop) - base - length) // stride + 1 - moment
    filled = n_windows > 0
    n_on_grids = np.maximum((nearest_sample(end) - nearest_sample(zero) - length) // stride + 1, 0).sum()
    runs = Runs(
        recording=recording[stretch[part[filled]]],
        segment=found["segment"][row[filled]],
        start=base[filled] + moment[filled] * stride,
        n_samples=length,
        stride=stride,
        n_windows=n_windows[filled],
        moment=moment[filled],
        counted={
            "n_events_out_of_range": int((~in_range).sum()),
            "n_events_without_window": len(stretch) - len(np.unique(part[filled])),
            "n_windows_out_of_range": max(int(n_on_grids - n_windows[filled].sum()), 0),
        },
    )
    return runs, stretch[part[filled]]


def _parts(
    found: dict[str, Ints], lost: Floats, recording: Ints, start_s: Floats, stop_s: Floats, rate_hz: float
) -> tuple[Ints, Ints, Floats, Floats]:
    """The segments from a stretch's start to its stop.

    Returns:
        By part: number of its stretch, row of its segment; by stretch: start and stop in samples of recording time.
    """
    first = _segment_at(found, recording, start_s, rate_hz)[0]
    last = _segment_at(found, recording, stop_s, rate_hz)[0]
    n_parts = last - first + 1
    part = np.repeat(np.arange(len(recording)), n_parts)
    row = first[part] + np.arange(n_parts.sum()) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    return part, row, start_s * rate_hz + lost[first], stop_s * rate_hz + lost[last]


def _distinct_times(recordings: pd.DataFrame, events: pd.DataFrame) -> tuple[Ints, Floats]:
    """Sort events by recording and onset. Events of one recording and time count once."""
    found, recording = own_events(recordings, events)
    times = np.unique(np.stack([recording.astype(float), found["onset_s"].to_numpy(dtype=float)]), axis=1)
    return times[0].astype(np.int64), times[1]


def _first_after(times: tuple[Ints, Floats], recording: Ints, time_s: Floats) -> Floats:
    """First of the times after each given time in the same recording; NaN if there is none. Both are sorted."""
    of, candidates_s = times
    n, m = len(of), len(recording)
    # At equal times, candidates sort before the others. The next candidate after another is therefore later.
    is_other = np.repeat([False, True], [n, m])
    order = np.lexsort((is_other, np.concatenate([candidates_s, time_s]), np.concatenate([of, recording])))
    n_before = np.cumsum(order < n)
    place = np.empty(m, dtype=np.int64)
    place[order[order >= n] - n] = n_before[order >= n]
    padded_of, padded_s = np.append(of, -1), np.append(candidates_s, np.nan)
    return np.where(padded_of[place] == recording, padded_s[place], np.nan)


def _segment_at(
    found: dict[str, Ints], recording: Ints, time_s: Floats, rate_hz: float
) -> tuple[Ints, NDArray[np.bool_]]:
    """Row of the last segment that begins at or before a time (the first if none does), and whether it is in range.

    A time is in range if it lies between the recording's first and last stored samples.
    """
    if not len(found["start"]):
        return np.zeros(len(recording), dtype=np.int64), np.zeros(len(recording), dtype=bool)
    sample = nearest_sample(time_s * rate_hz)
    at = np.searchsorted(pack(found["recording"], found["start"]), pack(recording, sample), side="right") - 1
    first = np.searchsorted(found["recording"], recording, side="left")
    behind = np.searchsorted(found["recording"], recording, side="right")
    is_there = behind > first
    last_stop = found["stop"][behind - 1]
    row = np.where(is_there, np.maximum(at, first), 0)
    return row, is_there & (sample >= 0) & (sample < last_stop)


def _segment_end_s(recordings: pd.DataFrame, recording: Ints, time_s: Floats, rate_hz: float) -> Floats:
    """End of the segment that holds a time; never before this time."""
    found = segments(recordings)
    row, in_range = _segment_at(found, recording, time_s, rate_hz)
    end_s = np.append(found["stop"], 0)[row] / rate_hz
    return np.where(in_range, np.maximum(end_s, time_s), time_s)


def _samples_lost(recordings: pd.DataFrame, found: dict[str, Ints], rate_hz: float) -> Floats:
    """Samples lost in gaps before each segment. Stored segments lie back to back."""
    if "segment_onsets_s" not in recordings or not len(found["start"]):
        return np.zeros(len(found["start"]))
    onset_s = np.concatenate([np.asarray(onsets, dtype=float) for onsets in recordings["segment_onsets_s"]])
    lost: Floats = onset_s * rate_hz - found["start"]
    return lost
