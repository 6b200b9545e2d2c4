"""Presets of tasks whose label is that of the whole recording: TUAB, TUEP, eegmat, eegmmidb at rest."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pandas as pd

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_label import windows_with_label


class LabelledRecordingsTask(Cut):
    """Base of tasks whose answer is fixed for a whole recording: windows at a fixed stride.

    Attributes:
        length_s: Window length.
        stride_s: From one window to the next; the window length by default.
    """

    column: ClassVar[str]
    classes: ClassVar[Mapping[str, tuple[str, ...]]]

    length_s: Seconds
    stride_s: Seconds | None = None

    @property
    def target_spec(self) -> TargetSpec:
        """One of two or more classes."""
        return TargetSpec.of_classes(self.classes)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The column; see the base class."""
        return f"recordings (column {self.column!r})", recordings[self.column]

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        stride_s = self.stride_s or self.length_s
        return windows_with_label(
            recordings, sample_grid, self.column, self.classes, length_s=self.length_s, stride_s=stride_s
        )


class TuabTask(LabelledRecordingsTask):
    """Windows at a fixed stride, labelled with what the physician found in the whole recording.

    Attributes:
        length_s: Window length; 10 s in BIOT, LaBraM and CBraMod, 5 s in BioFoundation.
    """

    citation: ClassVar[str] = (
        "Lopez et al. 2015, Automated identification of abnormal adult EEGs (TUAB v3.0.1); windows: BIOT, Yang et al. "
        "2023, datasets/TUAB/process.py"
    )
    column = "pathology"
    classes: ClassVar = {"normal": ("normal",), "abnormal": ("abnormal",)}

    name: Literal["tuab"] = "tuab"
    length_s: Seconds = 10.0


class TuepTask(LabelledRecordingsTask):
    """Windows at a fixed stride, labelled with the diagnosis of the person.

    The diagnosis is one of the person, so every recording of a person should carry the same. Where it does not, nothing
    is changed, and ``n_persons_of_both_classes`` says so.

    Attributes:
        length_s: Window length. There is no common value: 10 s as for TUAB, 45 s in EEG-FM-Bench.
    """

    citation: ClassVar[str] = (
        "Veloso et al. 2017, Big data resources for EEGs (TUEP v3.1.0), doi 10.1109/SPMB.2017.8257044; diagnosis by "
        "folder: EEG-FM-Bench, data/dataset/tue/tuep.py"
    )
    column = "epilepsy"
    classes: ClassVar = {"no_epilepsy": ("no_epilepsy",), "epilepsy": ("epilepsy",)}

    name: Literal["tuep"] = "tuep"
    length_s: Seconds = 10.0

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        runs = super().find_in(recordings, events, sample_grid)
        labelled = recordings[recordings["epilepsy"].isin(list(self.classes))]
        n_both = int((labelled.groupby("person")["epilepsy"].nunique() > 1).sum())
        return replace(runs, counted={"n_persons_of_both_classes": n_both, **runs.counted})


class EegmatTask(LabelledRecordingsTask):
    """Windows at a fixed stride: before the task (run 1) and during serial subtraction (run 2).

    Attributes:
        length_s: Window length; 5 s in CBraMod and BioFoundation.
    """

    citation: ClassVar[str] = (
        "Zyma et al. 2019, Electroencephalograms during mental arithmetic task performance, doi 10.3390/data4010014 "
        "(https://physionet.org/content/eegmat/1.0.0/); windows: CBraMod, Wang et al. 2025"
    )
    column = "run"
    classes: ClassVar = {"rest": ("1", "01"), "arithmetic": ("2", "02")}

    name: Literal["eegmat"] = "eegmat"
    length_s: Seconds = 5.0


class EegmmidbRestTask(LabelledRecordingsTask):
    """Windows at a fixed stride in the two minutes of rest: run 1 with eyes open, run 2 with eyes closed."""

    citation: ClassVar[str] = (
        "Schalk et al. 2004, BCI2000, doi 10.1109/TBME.2004.827072; runs: https://physionet.org/content/eegmmidb/1.0.0/"
    )
    column = "run"
    classes: ClassVar = {"open": ("1", "01", "R01"), "closed": ("2", "02", "R02")}

    name: Literal["eegmmidb_rest"] = "eegmmidb_rest"
    length_s: Seconds = 2.0
