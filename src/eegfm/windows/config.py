"""The menu of windows and tasks, the corpora's roles, and the parameters of splits and mixtures."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from eegfm.config import StrictModel
from eegfm.windows.cutters.between_events import BetweenEventsCut
from eegfm.windows.cutters.event_locked import EventLockedCut, refuse_repeated
from eegfm.windows.cutters.fixed import FixedCut
from eegfm.windows.cutters.trials import TrialsCut
from eegfm.windows.tasks.age import AgeTask
from eegfm.windows.tasks.eegmat import EegmatTask
from eegfm.windows.tasks.eegmmidb_imagery import EegmmidbImageryTask
from eegfm.windows.tasks.eegmmidb_rest import EegmmidbRestTask
from eegfm.windows.tasks.events import EventsTask
from eegfm.windows.tasks.hbn_challenge_1 import HbnChallenge1Task
from eegfm.windows.tasks.hbn_challenge_2 import HbnChallenge2Task
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask
from eegfm.windows.tasks.hbn_factor import HbnFactorTask
from eegfm.windows.tasks.hbn_movies import HbnMoviesTask
from eegfm.windows.tasks.hbn_sequence_learning import HbnSequenceLearningTask
from eegfm.windows.tasks.hbn_surround_suppression import HbnSurroundSuppressionTask
from eegfm.windows.tasks.hbn_symbol_search import HbnSymbolSearchTask
from eegfm.windows.tasks.recording_label import RecordingLabelTask
from eegfm.windows.tasks.sex import SexTask
from eegfm.windows.tasks.tuab import TuabTask
from eegfm.windows.tasks.tuar import TuarTask
from eegfm.windows.tasks.tuep import TuepTask
from eegfm.windows.tasks.tuev import TuevTask
from eegfm.windows.tasks.tusl import TuslTask
from eegfm.windows.tasks.tusz import TuszTask

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

WindowConfig = FixedCut | EventLockedCut | BetweenEventsCut | TrialsCut
"""Which windows to cut."""
TaskConfig = (
    EventsTask
    | RecordingLabelTask
    | HbnChallenge1Task
    | HbnChallenge2Task
    | HbnEyesTask
    | HbnMoviesTask
    | HbnSurroundSuppressionTask
    | HbnSymbolSearchTask
    | HbnSequenceLearningTask
    | AgeTask
    | SexTask
    | HbnFactorTask
    | TuabTask
    | TuevTask
    | TuarTask
    | TuslTask
    | TuszTask
    | TuepTask
    | EegmmidbRestTask
    | EegmmidbImageryTask
    | EegmatTask
)
"""Which windows to cut, and what is asked of each."""
CutConfig = Annotated[WindowConfig | TaskConfig, Field(discriminator="name")]


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
        refuse_repeated(list(self.pretrain), "corpus")
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
