"""The menu of windows and tasks, the corpora's roles, and the parameters of splits and mixtures."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, PositiveInt, Tag, model_validator

from eegfm.config import StrictModel
from eegfm.windows.cutters.base import refuse_repeated
from eegfm.windows.cutters.between_events import BetweenEventsCut
from eegfm.windows.cutters.event_locked import EventLockedCut
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
RESERVED |= {"split", "splits", "import", "import_weights", "export"}
TUH_FAMILIES = frozenset({"tueg", "tuab", "tuev", "tuar", "tusz", "tusl", "tuep"})
"""The TUH corpora; a corpus of such a name has their subject ids."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} cannot name a corpus, it means something else; choose another name")
    return name


CorpusName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"), AfterValidator(_not_reserved)]
"""Lower case, digits and single underscores: it becomes part of file names and catalog entries."""

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]

BY_SIZE = "by_size"
# Told apart before they are read, so that a message is about the one that was meant.
Weights = Annotated[
    Annotated[dict[str, Weight], Field(min_length=1), Tag("table")] | Annotated[Literal["by_size"], Tag("word")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "table"),
]

PersonName = Annotated[str, Field(pattern=r"^[a-z0-9_]+:.*\S")]
"""``corpus:subject``."""

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
    """How persons are told apart and shared out.

    Args:
        validation_ratio: Expected share of a pretraining corpus's persons that only watch the loss.
        evaluation_ratio: Expected share of persons kept for evaluation where a corpus is pretrained and probed.
        salt: Text that is hashed with the person; another salt gives another split.
        folds: Who of the evaluation persons is held out at a time: one person, or one of this many groups.
        stratify_by: Column of the recordings, e.g. ``pathology``, by whose values every ratio and fold is filled
            exactly. The price: adding persons can then move those at the boundary between two splits.
        linked_corpora: Groups of corpora in which the same subject id means the same person. The TUH corpora, and
            corpora with NDA's subject ids (HBN), need not be named.
        same_persons: Groups of ``corpus:subject`` that are one person each.
        evaluation_sets: Official splits whose persons are never trained on, by TUH family, ``hbn``, or name of a
            corpus; an entry replaces the registered one, see ``eegfm.windows.evaluation_sets``.
        held_out: By corpus, subjects who are never trained on because they are in an evaluation set that is not at
            hand, e.g. those of TUAB's ``eval`` when TUEG alone is there.
    """

    validation_ratio: Ratio = 0.1
    evaluation_ratio: Ratio = 0.3
    salt: str = "eegfm"
    folds: Literal["leave_one_person_out"] | Annotated[int, Field(ge=2)] = "leave_one_person_out"
    stratify_by: str = ""
    linked_corpora: tuple[Annotated[tuple[CorpusName, ...], Field(min_length=2)], ...] = ()
    same_persons: tuple[Annotated[tuple[PersonName, ...], Field(min_length=2)], ...] = ()
    evaluation_sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    held_out: dict[CorpusName, tuple[str, ...]] = Field(default_factory=dict)


class MixtureParams(StrictModel):
    """Which corpora a training draws from, and how much of each.

    Args:
        weights: By corpus, its share of every batch, normalised over the corpora that are there; or ``by_size``, the
            share that follows from the corpora's sizes, rounded to whole windows of a batch.
        by: What the shares are shares of: windows; hours of signal, for corpora with windows of several lengths; or
            persons, where every window is that of the next person in turn, and each person has one turn per round.
        temperature: With ``by_size``, shares are as size ** (1 / temperature): 1 is proportional, more is more even.
        max_windows_per_person: Windows of one person and corpus that an epoch shows; another sample in every epoch.
        task: The cut whose windows are drawn.
    """

    weights: Weights = Field(default_factory=lambda: {"hbn": 0.7, "tuh": 0.3})
    by: Literal["windows", "hours", "persons"] = "windows"
    temperature: Weight = 1.0
    max_windows_per_person: PositiveInt | None = None
    task: str = "pretrain"

    @model_validator(mode="after")
    def _temperature_has_an_effect(self) -> "MixtureParams":
        if self.temperature != 1 and self.weights != BY_SIZE:
            raise ValueError(f"temperature {self.temperature:g} has no effect on given weights; say weights: {BY_SIZE}")
        return self

    @property
    def given_weights(self) -> Mapping[str, float]:
        """The weights that are given, by corpus; empty where they follow from the sizes."""
        return {} if isinstance(self.weights, str) else self.weights
