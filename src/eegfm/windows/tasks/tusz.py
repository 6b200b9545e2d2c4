"""TUSZ: presence of a seizure, or its type."""

from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from eegfm.config import refuse_repeated, refuse_unused
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.intervals import covered, grid, outside, windows_of_one_class
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.tuh import Annotations, TuhCut, annotations

BACKGROUND = "bckg"
SEIZURE = "seiz"
TYPES = ("fnsz", "gnsz", "spsz", "cpsz", "absz", "tnsz", "cnsz", "tcsz", "atsz", "mysz")
WINDOW_SOURCES = ("csv_bi", "tse_bi", "csv", "tse")
"""Kinds of files that tell whether there is a seizure, the best first. Decisions for the whole recording come before
those for single channels, new formats before old ones."""
EVENT_SOURCES = ("csv", "tse")
"""Kinds of files that give the type of a seizure, the best first."""


def _each_type() -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in TYPES}


class TuszTask(TuhCut):
    """Windows with and without seizure, or of one type of seizure each.

    Each recording is read from one kind of file, so no seizure counts twice: the first in ``WINDOW_SOURCES`` or
    ``EVENT_SOURCES`` that the recording has. A seizure holds for all channels, whichever channel shows it.

    Attributes:
        level: ``window``: windows on a grid, ``seiz`` or ``bckg``. ``event``: windows wholly inside the seizures of
            one type, and inside time without seizures; windows that a seizure of another type touches are left out.
        min_overlap_ratio: Share of a window that seizures must cover at level ``window``; 0 for any sample, as in
            Tang et al.
        types: By class, the types of seizures at level ``event``. Seizures of types that are not named give no
            windows, and no background either. Tang et al. have four: ``{focal: [fnsz, spsz, cpsz], generalised:
            [gnsz], absence: [absz], tonic: [tnsz, tcsz]}``.
        background: Whether time without seizures is a class at level ``event``.
        length_s: Window length; Tang et al. take 12 s or 60 s.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Shah et al. 2018, The Temple University Hospital seizure detection corpus (TUSZ v2.0.6), doi "
        "10.3389/fninf.2018.00083; windows: Tang et al. 2022, Self-supervised graph neural networks for improved "
        "electroencephalographic seizure analysis, github.com/tsy935/eeg-gnn-ssl"
    )

    without_class: ClassVar[str] = "add recordings of it, or, at level event, list existing types in types"

    name: Literal["tusz"] = "tusz"
    level: Literal["window", "event"] = "window"
    min_overlap_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    types: dict[str, tuple[str, ...]] = Field(default_factory=_each_type, min_length=1)
    background: bool = True
    length_s: Seconds = 12.0
    stride_s: Seconds | None = None

    @field_validator("types")
    @classmethod
    def _known_and_distinct(cls, types: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        refuse_repeated([name for names in types.values() for name in names], "seizure type")
        unknown = sorted({name for names in types.values() for name in names} - set(TYPES))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no type of seizure; there are {', '.join(TYPES)}")
        if BACKGROUND in types:
            raise ValueError(f"{BACKGROUND!r} cannot name seizures; it is the class of time without them")
        return types

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        unused = {"window": ["types", "background"], "event": ["min_overlap_ratio"]}[self.level]
        refuse_unused(self, unused, f"at level {self.level}")
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """Seizure or not, or the type."""
        if self.level == "window":
            return TargetSpec("binary", (BACKGROUND, SEIZURE))
        classes = (BACKGROUND, *self.types) if self.background else tuple(self.types)
        return TargetSpec.of_classes(classes)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the annotated recordings, or cut inside the seizures; see the base class."""
        sources = WINDOW_SOURCES if self.level == "window" else EVENT_SOURCES
        found = annotations(recordings, events, sources, sample_grid)
        runs, key = self._windows(found, sample_grid) if self.level == "window" else self._events(found, sample_grid)
        counted = {
            **found.counted,
            "n_events_of_other_labels": found.n_of_other_labels((BACKGROUND, SEIZURE, *TYPES)),
            "n_recordings_without_window": len(found.recordings) - len(np.unique(runs.recording)),
        }
        label = np.array(self.target_spec.classes, dtype=object)[key]
        return replace(runs, label=label, counted={**counted, **runs.counted})

    def _windows(self, found: Annotations, sample_grid: SampleGrid) -> tuple[Runs, Ints]:
        """Windows on a grid, and whether there is a seizure."""
        runs = grid(found.recordings, sample_grid, self.length_s, self.stride_s or self.length_s)
        seizures = found.intervals(dict.fromkeys((SEIZURE, *TYPES), (0,)))
        samples = covered(seizures, 1, runs.recording, runs.start, runs.start + runs.n_samples)[:, 0]
        present = (samples > 0) & (samples / runs.n_samples >= self.min_overlap_ratio)
        return runs, present.astype(np.int64)

    def _events(self, found: Annotations, sample_grid: SampleGrid) -> tuple[Runs, Ints]:
        """Windows inside seizures and between seizures, and the number of their class."""
        classes = self.target_spec.classes
        number_of = {name: (classes.index(label),) for label, names in self.types.items() for name in names}
        others = {name: (len(classes),) for name in found.value.unique() if name not in (*number_of, BACKGROUND)}
        intervals = found.intervals({**number_of, **others})
        if self.background:
            intervals = intervals.join(outside(found.recordings, intervals, classes.index(BACKGROUND)))
        stride_s = self.stride_s or self.length_s
        return windows_of_one_class(found.recordings, intervals, len(classes), sample_grid, self.length_s, stride_s)
