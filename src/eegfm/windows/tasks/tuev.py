"""TUEV: one of six event classes."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import PublishedClassesCut, Seconds
from eegfm.windows.intervals import covered, select
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import enclosing_segment, segments
from eegfm.windows.tuh import DERIVATIONS, Annotations, TuhCut, annotations, lacks_derivation

CLASSES = ("spsw", "gped", "pled", "eyem", "artf", "bckg")
"""Classes in the order of the numbers 1 to 6 of ``.rec`` files."""


class TuevTask(PublishedClassesCut, TuhCut):
    """One window around each annotated second.

    A row of a ``.rec`` file marks one second of one TCP derivation. A row is dropped if its window would leave its
    segment. Published code puts three copies of the recording end to end instead, so such windows contain signal from
    the other end of the recording.

    Attributes:
        per: ``channel_event``: one window for each row, as in BIOT, LaBraM and CBraMod. A second that is marked on
            twelve derivations gives twelve equal windows; a second with two classes gives windows of both. ``event``:
            one window for each time and class. ``time``: one window for each time; the targets are the classes of the
            22 TCP derivations. The class of a derivation is the one that covers most of the second, and at least half
            of it; NaN if there is none.
        event_s: Length of the annotated second.
        margin_s: Length of signal before the second, and after it.
    """

    citation: ClassVar[str] = (
        "Harati et al. 2015, Improved EEG event classification using differential energy (TUEV v2.0.1); windows: "
        "BIOT, Yang et al. 2023, datasets/TUEV/process.py, which LaBraM and CBraMod follow"
    )

    name: Literal["tuev"] = "tuev"
    per: Literal["channel_event", "event", "time"] = "channel_event"
    event_s: Seconds = 1.0
    margin_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0

    @property
    def length_s(self) -> float:
        """Length of a window: the second and its margins, without the error of adding binary fractions."""
        return round(self.event_s + 2 * self.margin_s, 9)

    @property
    def published(self) -> TargetSpec:
        """The class of the event, or of each derivation."""
        return (
            TargetSpec("multioutput", CLASSES, DERIVATIONS) if self.per == "time" else TargetSpec("multiclass", CLASSES)
        )

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut around the events; see the base class."""
        found = annotations(recordings, events, ("rec",), sample_grid)
        counted = {**found.counted, "n_events_of_other_labels": found.n_of_other_labels(CLASSES)}
        intervals = found.intervals({name: (n,) for n, name in enumerate(CLASSES)})
        event, margin = sample_grid.samples("event_s", self.event_s), sample_grid.samples("margin_s", self.margin_s)
        length = event + 2 * margin
        first = intervals.start - margin
        segment, fits = enclosing_segment(segments(recordings), intervals.recording, first, first + length)
        counted["n_events_out_of_range"] = int((~fits).sum())
        runs = Runs(intervals.recording[fits], segment[fits], first[fits], length, length)
        key = intervals.key[fits]
        if self.per != "channel_event":
            of = np.stack([runs.recording, runs.start, key if self.per == "event" else np.zeros_like(key)])
            once = np.sort(np.unique(of, axis=1, return_index=True)[1])
            counted["n_events_repeated"] = len(key) - len(once)
            runs, key = select(runs, once), key[once]
        if self.per == "time":
            targets = self._per_derivation(found, runs.recording, runs.start + margin, event)
            answered = np.asarray((~np.isnan(targets)).any(axis=1), dtype=bool)
            counted["n_windows_without_answer"] = int((~answered).sum())
            runs, targets = select(runs, answered), targets[answered]
            runs = replace(runs, targets=targets)
        else:
            runs = replace(runs, label=np.array(CLASSES, dtype=object)[key])
        counted["n_recordings_without_window"] = len(found.recordings) - len(np.unique(runs.recording))
        return replace(runs, counted=counted)

    def _per_derivation(self, found: Annotations, recording: Ints, start: Ints, n_samples: int) -> NDArray[np.float32]:
        """(W, 22) number of the class that each derivation shows in the samples of the event."""
        targets = np.full((len(start), len(DERIVATIONS)), np.nan, dtype=np.float32)
        number_of = {name: (n,) for n, name in enumerate(CLASSES)}
        for index, name in enumerate(DERIVATIONS):
            intervals = found.on(name).intervals(number_of)
            samples = covered(intervals, len(CLASSES), recording, start, start + n_samples)
            shown = 2 * samples.max(axis=1) >= n_samples
            targets[shown, index] = samples.argmax(axis=1)[shown]
        targets[lacks_derivation(found.recordings, recording)] = np.nan
        return targets
