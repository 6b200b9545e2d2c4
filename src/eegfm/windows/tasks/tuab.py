"""TUAB: is the recording normal or abnormal."""

from typing import ClassVar, Literal

from eegfm.windows.cutters.base import Seconds
from eegfm.windows.tasks.recording_label import LabelledRecordingsTask


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
