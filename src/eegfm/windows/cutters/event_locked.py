"""Windows after events."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from eegfm.config import StrictModel, refuse_repeated, refuse_unused
from eegfm.errors import ConfigError
from eegfm.named import refuse_unmatched
from eegfm.windows.cutters.base import Cut, Offset, Seconds
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import MAX_SAMPLE, enclosing_segment, nearest_sample, own_events, pack, segments, tile, unpack
from eegfm.windows.unlabelled import event_faults, untaken_triggers


class Anchor(StrictModel):
    """The stretch after one kind of event that is cut into windows.

    Attributes:
        values: The event's values, compared exactly.
        offset_s: From the event's onset to the first window.
        span_s: Length of the stretch.
    """

    values: tuple[str, ...] = Field(min_length=1)
    offset_s: Offset = 0.0
    span_s: Seconds


class EventLockedCut(Cut):
    """Windows at a fixed time after events, without labels.

    Attributes:
        values: Values of the events, compared exactly.
        column: Column of the events table that holds the values.
        offset_s: From an event's onset to the first window; negative for windows before it.
        length_s: Window length.
        span_s: Length of the stretch that is cut into windows; one window by default.
        stride_s: From one window to the next.
    """

    name: Literal["event_locked"] = "event_locked"
    values: tuple[str, ...] = Field(min_length=1)
    column: str = "value"
    offset_s: Offset = 0.0
    length_s: Seconds
    span_s: Seconds | None = None
    stride_s: Seconds | None = None

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return refuse_repeated(values, "event value")

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.span_s is None:
            refuse_unused(self, ["stride_s"], "without span_s, which is one window by default")
        else:
            refuse_short_span("span_s", self.span_s, self.length_s)
        return self

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has; see the base class."""
        check_event_values({"values": self.values}, recordings, events, sample_grid, self.column)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut after every event; see the base class."""
        anchor = Anchor(values=self.values, offset_s=self.offset_s, span_s=self.span_s or self.length_s)
        found = windows_after_events(
            recordings,
            events,
            sample_grid,
            {"": anchor},
            length_s=self.length_s,
            stride_s=self.stride_s or self.length_s,
            column=self.column,
        )
        return replace(found, label=None)


def refuse_short_span(key: str, span_s: float, length_s: float) -> None:
    """Refuse a stretch that no window fits into.

    Raises:
        ValueError: The stretch is shorter than a window.
    """
    if span_s < length_s:
        raise ValueError(f"{key} {span_s:g} is shorter than a window of length_s {length_s:g}; lengthen it")


def check_event_values(
    values_by_key: Mapping[str, Sequence[str]],
    recordings: pd.DataFrame,
    events: pd.DataFrame,
    sample_grid: SampleGrid,
    column: str = "value",
) -> None:
    """Refuse values that no event of these recordings has.

    Args:
        values_by_key: By parameter, the values that it names.
        recordings: Recordings that the cut uses.
        events: The events table.
        sample_grid: Name of the cut.
        column: Column of the events table that holds the values.

    Raises:
        ConfigError: A value matches no event (the error lists the existing values), or the column is missing.
    """
    refuse_missing_column(events, sample_grid, column)
    found = own_events(recordings, events)[0][column]
    for key, values in values_by_key.items():
        where, what = f"cut {sample_grid.cut!r}: {key}", f"events (column {column!r})"
        refuse_unmatched(where, values, found, what, event_faults(recordings) + untaken_triggers(recordings))


def refuse_missing_column(events: pd.DataFrame, sample_grid: SampleGrid, column: str) -> None:
    """Refuse a column that the events table does not have.

    Raises:
        ConfigError: The column is missing; the error lists the existing columns.
    """
    if column not in events:
        raise ConfigError(
            f"cut {sample_grid.cut!r}: events have no column {column!r}; there are {sorted(map(str, events.columns))}"
        )


def windows_after_events(
    recordings: pd.DataFrame,
    events: pd.DataFrame,
    sample_grid: SampleGrid,
    anchors: Mapping[str, Anchor],
    *,
    length_s: float,
    stride_s: float,
    column: str = "value",
) -> Runs:
    """Windows after events, labelled with the name of their anchor.

    A stretch ends early where an event of another label begins. An event that is written twice gives each window once.
    The part of a stretch outside the segment of its event gives no windows.

    Args:
        recordings: Recordings to use; index labels are kept.
        events: The events table.
        sample_grid: Rate, and name of the cut.
        anchors: The stretch after the event, by label.
        length_s: Window length.
        stride_s: From one window to the next.
        column: Column of the events table that holds the values.

    Returns:
        One run per window. Counted: ``n_recordings_without_window``, ``n_events``, ``n_events_without_window``,
        ``n_windows_out_of_range``, ``n_windows_after_next_event``.

    Raises:
        ConfigError: A length is no whole number of samples, or the column is missing.
    """
    length, stride = sample_grid.samples("length_s", length_s), sample_grid.samples("stride_s", stride_s)
    found = _find_events(anchors, recordings, events, sample_grid, column)
    event, start = tile(found["start"], found["stop"], length, stride)
    in_time = start + length <= found["limit"][event]
    recording, spans = found["recording"][event], segments(recordings)
    segment, inside = enclosing_segment(spans, recording, start, start + length)
    # A window must lie in the same segment as its event: a gap may lie between them.
    onset = found["onset"][event]
    own_segment, is_stored = enclosing_segment(spans, recording, onset, onset + 1)
    inside &= is_stored & (segment == own_segment)
    kept = in_time & inside
    index = _each_once(kept, recording, start)
    return Runs(
        recording=recording[index],
        segment=segment[index],
        start=start[index],
        n_samples=length,
        stride=stride,
        label=np.array(list(anchors), dtype=object)[found["label"][event[index]]],
        counted={
            "n_recordings_without_window": len(recordings) - len(np.unique(recording[index])),
            "n_events": len(found["start"]),
            "n_events_without_window": len(found["start"]) - len(np.unique(event[kept])),
            "n_windows_out_of_range": int((~inside).sum()),
            "n_windows_after_next_event": int((inside & ~in_time).sum()),
        },
    )


def _each_once(kept: NDArray[np.bool_], recording: Ints, start: Ints) -> Ints:
    """Positions of the kept windows, by recording and start. Of windows that are there twice, one stays."""
    order = np.lexsort((start[kept], recording[kept]))
    index = np.flatnonzero(kept)[order]
    same = (np.diff(recording[index], prepend=-1) == 0) & (np.diff(start[index], prepend=-1) == 0)
    found: Ints = index[~same]
    return found


def _find_events(
    anchors: Mapping[str, Anchor], recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid, column: str
) -> dict[str, Ints]:
    """Columns of every event: recording, label, sample, stretch, and start of the next event of another label."""
    refuse_missing_column(events, sample_grid, column)
    label_of = {value: number for number, anchor in enumerate(anchors.values()) for value in anchor.values}
    found, recording = own_events(recordings, events[events[column].isin(label_of.keys())])
    label = np.asarray(found[column].map(label_of), dtype=np.int64)
    onset_s = found["onset_s"].to_numpy(dtype=float)
    offsets = np.array([anchor.offset_s for anchor in anchors.values()])
    spans = np.array([sample_grid.samples("span_s", anchor.span_s) for anchor in anchors.values()], dtype=np.int64)
    start = nearest_sample((onset_s + offsets[label]) * sample_grid.rate_hz)
    onset = nearest_sample(onset_s * sample_grid.rate_hz)
    return {
        "recording": recording,
        "label": label,
        "onset": onset,
        "start": start,
        "stop": start + spans[label],
        "limit": _next_of_other_label(recording, onset, label),
    }


def _next_of_other_label(recording: Ints, onset: Ints, label: Ints) -> Ints:
    """Sample at which the next event of another label begins in the same recording, or a sample beyond all."""
    key = pack(recording, onset)
    limit: Ints = np.full(len(key), 2 * MAX_SAMPLE, dtype=np.int64)
    for number in np.unique(label):
        others, mine = np.sort(key[label != number]), label == number
        if len(others):
            at = np.searchsorted(others, key[mine], side="left")
            other_recording, following = unpack(others[np.minimum(at, len(others) - 1)])
            same = (at < len(others)) & (other_recording == recording[mine])
            limit[mine] = np.where(same, following, 2 * MAX_SAMPLE)
    return limit
