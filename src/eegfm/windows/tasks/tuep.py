"""TUEP: has the person epilepsy."""

from dataclasses import replace
from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Seconds
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.recording_label import LabelledRecordingsTask


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

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Fill the labelled recordings; see the base class."""
        runs = super().find(recordings, events, sample_grid)
        labelled = recordings[recordings["epilepsy"].isin(list(self.classes))]
        n_both = int((labelled.groupby("person")["epilepsy"].nunique() > 1).sum())
        return replace(runs, counted={"n_persons_of_both_classes": n_both, **runs.counted})
