"""TUSL: seizure, slowing or background."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from eegfm.config import refuse_unused
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import PublishedClassesCut, Seconds
from eegfm.windows.intervals import covered, grid, select, windows_of_one_class
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.tuh import Annotations, TuhCut, annotations

CLASSES = ("bckg", "seiz", "slow")
NONE = "none"


class TuslTask(PublishedClassesCut, TuhCut):
    """Windows labelled with the event that they lie in; an event holds for all channels, whichever it names.

    TUSL marks events of 10 s and says nothing of the time between them.

    Attributes:
        rule: ``inside``: windows wholly inside events of one class (overlapping events of one class are one), as in
            EEG-FM-Bench; those that an event of another class touches are left out. ``majority``: windows on a grid,
            with the class that covers most of them, the first of the classes where two cover as much, as in
            BioFoundation (5 s).
        unmarked: Treatment of windows of which no class covers more than what is unmarked, at rule ``majority``:
            ``left_out``, or ``class`` for a fourth class ``none``, as in BioFoundation.
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "von Weltin et al. 2017, Electroencephalographic slowing (TUSL v2.0.1), doi 10.1109/SPMB.2017.8257018; "
        "windows: EEG-FM-Bench, data/dataset/tue/tusl.py, and BioFoundation, make_datasets/process_raw_eeg.py"
    )

    name: Literal["tusl"] = "tusl"
    rule: Literal["inside", "majority"] = "inside"
    unmarked: Literal["left_out", "class"] = "left_out"
    length_s: Seconds = 10.0
    stride_s: Seconds | None = None

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        if self.rule == "inside":
            refuse_unused(self, ["unmarked"], "at rule inside")
        return self

    @property
    def published(self) -> TargetSpec:
        """Background, seizure or slowing; or none of them."""
        return TargetSpec("multiclass", CLASSES if self.unmarked == "left_out" else (*CLASSES, NONE))

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut inside the events, or fill the recordings; see the base class."""
        found = annotations(recordings, events, ("csv",), sample_grid)
        counted = {**found.counted, "n_events_of_other_labels": found.n_of_other_labels(CLASSES)}
        runs, key = self._inside(found, sample_grid) if self.rule == "inside" else self._majority(found, sample_grid)
        counted["n_recordings_without_window"] = len(found.recordings) - len(np.unique(runs.recording))
        return replace(runs, label=np.array((*CLASSES, NONE), dtype=object)[key], counted={**counted, **runs.counted})

    def _inside(self, found: Annotations, sample_grid: SampleGrid) -> tuple[Runs, Ints]:
        """Windows, and the number of their class."""
        intervals = found.intervals({name: (n,) for n, name in enumerate(CLASSES)})
        stride_s = self.stride_s or self.length_s
        return windows_of_one_class(found.recordings, intervals, len(CLASSES), sample_grid, self.length_s, stride_s)

    def _majority(self, found: Annotations, sample_grid: SampleGrid) -> tuple[Runs, Ints]:
        """Windows, and the number of their class."""
        runs = grid(found.recordings, sample_grid, self.length_s, self.stride_s or self.length_s)
        any_class = len(CLASSES)
        intervals = found.intervals({name: (n, any_class) for n, name in enumerate(CLASSES)})
        samples = covered(intervals, any_class + 1, runs.recording, runs.start, runs.start + runs.n_samples)
        by_class, unmarked = samples[:, :any_class], runs.n_samples - samples[:, any_class]
        marked = by_class.max(axis=1) > unmarked
        counted = {"n_windows_unmarked": int((~marked).sum())}
        if self.unmarked == "class":
            return replace(runs, counted=counted), np.where(marked, by_class.argmax(axis=1), any_class)
        return replace(select(runs, marked), counted=counted), by_class.argmax(axis=1)[marked]
