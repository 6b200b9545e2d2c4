"""eegmat: at rest or subtracting numbers."""

from typing import ClassVar, Literal

from eegfm.windows.cutters.base import Seconds
from eegfm.windows.tasks.recording_label import LabelledRecordingsTask


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
