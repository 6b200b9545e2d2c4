"""eegmmidb: eyes open or closed."""

from typing import ClassVar, Literal

from eegfm.windows.cutters.base import Seconds
from eegfm.windows.tasks.recording_label import LabelledRecordingsTask


class EegmmidbRestTask(LabelledRecordingsTask):
    """Windows at a fixed stride in the two minutes of rest: run 1 with eyes open, run 2 with eyes closed."""

    citation: ClassVar[str] = (
        "Schalk et al. 2004, BCI2000, doi 10.1109/TBME.2004.827072; runs: https://physionet.org/content/eegmmidb/1.0.0/"
    )
    column = "run"
    classes: ClassVar = {"open": ("1", "01", "R01"), "closed": ("2", "02", "R02")}

    name: Literal["eegmmidb_rest"] = "eegmmidb_rest"
    length_s: Seconds = 2.0
