"""TUEP: has the person epilepsy."""

from dataclasses import replace
from typing import ClassVar, Literal

import pandas as pd

from eegfm.windows.cutters.base import Answer, Cut, Seconds
from eegfm.windows.runs import Clock, Runs
from eegfm.windows.tasks.recording_label import windows_with_label

CLASSES = ("no_epilepsy", "epilepsy")


class TuepTask(Cut):
    """Windows at a fixed stride, labelled with the diagnosis of the person.

    The diagnosis is one of the person, so every recording of a person should carry the same. Where it does not, nothing
    is changed, and ``n_persons_of_both_classes`` says so.

    Attributes:
        length_s: Window length. There is no common value: 10 s as for TUAB, 45 s in EEG-FM-Bench.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Veloso et al. 2017, Big data resources for EEGs (TUEP v3.1.0), doi 10.1109/SPMB.2017.8257044; diagnosis by "
        "folder: EEG-FM-Bench, data/dataset/tue/tuep.py"
    )

    name: Literal["tuep"] = "tuep"
    length_s: Seconds = 10.0
    stride_s: Seconds | None = None

    @property
    def answer(self) -> Answer:
        """With or without epilepsy."""
        return Answer("binary", CLASSES)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Fill the labelled recordings; see the base class."""
        classes = {name: (name,) for name in CLASSES}
        stride_s = self.stride_s or self.length_s
        runs = windows_with_label(recordings, clock, "epilepsy", classes, length_s=self.length_s, stride_s=stride_s)
        labelled = recordings[recordings["epilepsy"].isin(CLASSES)]
        n_both = int((labelled.groupby("person")["epilepsy"].nunique() > 1).sum())
        return replace(runs, counted={"n_persons_of_both_classes": n_both, **runs.counted})
