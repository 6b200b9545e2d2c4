"""The menu of window cuts, and the parameters of splits and mixtures."""

from collections import Counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from eegfm.config import StrictModel

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
RESERVED = {"corpora", "data", "mix", "mixture", "params", "pretrain", "probe", "report", "roles", "runs", "signal"}
RESERVED |= {"split", "splits"}


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} cannot name a corpus, it means something else; choose another name")
    return name


CorpusName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"), AfterValidator(_not_reserved)]
"""Lower case, digits and single underscores: it becomes part of file names and catalog entries."""

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FixedCut(StrictModel):
    """Windows of one length at a fixed stride inside every segment, without labels."""

    name: Literal["fixed"] = "fixed"
    length_s: Seconds
    stride_s: Seconds


class CueAnchor(StrictModel):
    """The stretch after one kind of event that carries one label.

    Args:
        value: The event's value, compared exactly.
        offset_s: From the event's onset to the first window.
        span_s: Length of the stretch that is cut into windows.
    """

    value: str
    offset_s: float = Field(allow_inf_nan=False)
    span_s: Seconds


def _eyes() -> dict[str, CueAnchor]:
    return {
        "closed": CueAnchor(value="instructed_toCloseEyes", offset_s=15.0, span_s=14.0),
        "open": CueAnchor(value="instructed_toOpenEyes", offset_s=5.0, span_s=14.0),
    }


class CueCut(StrictModel):
    """Labelled windows after events of one task.

    The default is eyes open against closed of the Healthy Brain Network's resting state: seven two-second
    windows per cue, starting 15 to 27 s after the instruction to close and 5 to 17 s after the instruction
    to open (``hbn_ec_ec_reannotation`` of eegdash 0.9). A stretch ends early where an event of another label
    begins.

    Args:
        anchors: By label, which event it follows.
        length_s: Window length.
        stride_s: From one window to the next.
        bids_task: Only recordings of this BIDS task; empty for all. Recordings may run on into the next task,
            so the same cue can occur elsewhere.
    """

    name: Literal["cues"] = "cues"
    anchors: dict[str, CueAnchor] = Field(default_factory=_eyes, min_length=1)
    length_s: Seconds = 2.0
    stride_s: Seconds = 2.0
    bids_task: str = "RestingState"

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "CueCut":
        _refuse_repeated([anchor.value for anchor in self.anchors.values()], "event value")
        return self


class RecordingLabelCut(StrictModel):
    """Windows at a fixed stride whose label is that of their recording.

    Args:
        column: Column of the recordings table, e.g. ``run`` or ``pathology``.
        classes: By label, the column's values, e.g. ``{"open": ["R01"], "closed": ["R02"]}``; recordings with
            other values are left out.
        length_s: Window length.
        stride_s: From one window to the next.
    """

    name: Literal["recording_label"] = "recording_label"
    column: str
    classes: dict[str, list[str]] = Field(min_length=1)
    length_s: Seconds
    stride_s: Seconds

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "RecordingLabelCut":
        _refuse_repeated([value for values in self.classes.values() for value in values], "column value")
        return self


CutConfig = Annotated[FixedCut | CueCut | RecordingLabelCut, Field(discriminator="name")]


class WindowParams(StrictModel):
    """Which windows to cut from one corpus.

    Args:
        cuts: By name of the cut, e.g. ``pretrain`` or ``eyes``; the name becomes the windows' ``task``.
    """

    cuts: dict[str, CutConfig] = Field(min_length=1)


class Roles(StrictModel):
    """What each corpus is for.

    Args:
        pretrain: Corpora whose persons may enter pretraining.
        probe: Corpus on whose persons the encoder is evaluated; empty for none.
    """

    pretrain: list[CorpusName] = Field(min_length=1)
    probe: CorpusName | Literal[""] = ""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Roles":
        _refuse_repeated(list(self.pretrain), "corpus")
        return self


class SplitParams(StrictModel):
    """How persons are shared out.

    Args:
        validation_ratio: Expected share of a pretraining corpus's persons that only watch the loss.
        evaluation_ratio: Expected share of persons kept for evaluation where a corpus is pretrained and probed.
        salt: Text that is hashed with the person; another salt gives another split.
    """

    validation_ratio: Ratio = 0.1
    evaluation_ratio: Ratio = 0.3
    salt: str = "eegfm"


class MixtureParams(StrictModel):
    """Which corpora a training draws from, and how much of each.

    Args:
        weights: By corpus, its share of the windows in every batch; normalised over the corpora that are there.
        task: The cut whose windows are drawn.
    """

    weights: dict[str, Weight] = Field(default_factory=lambda: {"hbn": 0.7, "tuh": 0.3}, min_length=1)
    task: str = "pretrain"


def _refuse_repeated(values: list[str], what: str) -> None:
    repeated = sorted(value for value, n in Counter(values).items() if n > 1)
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)} stands there twice; each may stand there once")
