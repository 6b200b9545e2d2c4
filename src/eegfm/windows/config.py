"""Configurations of cuts and tasks."""

from typing import Annotated

from pydantic import Field

from eegfm.config import StrictModel
from eegfm.windows.cutters.between_events import BetweenEventsCut
from eegfm.windows.cutters.event_locked import EventLockedCut
from eegfm.windows.cutters.fixed import FixedCut
from eegfm.windows.cutters.trials import TrialsCut
from eegfm.windows.tasks.eegmmidb_imagery import EegmmidbImageryTask
from eegfm.windows.tasks.events import EventsTask
from eegfm.windows.tasks.hbn_challenge_1 import HbnChallenge1Task
from eegfm.windows.tasks.hbn_challenge_2 import HbnChallenge2Task
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask
from eegfm.windows.tasks.hbn_movies import HbnMoviesTask
from eegfm.windows.tasks.hbn_sequence_learning import HbnSequenceLearningTask
from eegfm.windows.tasks.hbn_surround_suppression import HbnSurroundSuppressionTask
from eegfm.windows.tasks.hbn_symbol_search import HbnSymbolSearchTask
from eegfm.windows.tasks.labelled_recordings import EegmatTask, EegmmidbRestTask, TuabTask, TuepTask
from eegfm.windows.tasks.recording_label import RecordingLabelTask
from eegfm.windows.tasks.timed_labels import TimedLabelsTask
from eegfm.windows.tasks.traits import AgeTask, HbnFactorTask, SexTask
from eegfm.windows.tasks.tuar import TuarTask
from eegfm.windows.tasks.tuev import TuevTask
from eegfm.windows.tasks.tusl import TuslTask
from eegfm.windows.tasks.tusz import TuszTask

WindowConfig = FixedCut | EventLockedCut | BetweenEventsCut | TrialsCut
"""Union of the cuts without targets."""
TaskConfig = (
    EventsTask
    | RecordingLabelTask
    | TimedLabelsTask
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
"""Union of the tasks: cuts whose windows have a target."""
CutConfig = Annotated[WindowConfig | TaskConfig, Field(discriminator="name")]


class WindowParams(StrictModel):
    """Cuts of one corpus.

    Args:
        cuts: By name of the cut, e.g. ``pretrain`` or ``eyes``; the name becomes the windows' ``cut``.
    """

    cuts: dict[str, CutConfig] = Field(min_length=1)
