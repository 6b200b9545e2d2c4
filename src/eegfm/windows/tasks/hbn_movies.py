"""HBN, movies: the movie, or the time within a movie."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from eegfm.config import refuse_repeated
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Cut, Seconds
from eegfm.windows.cutters.between_events import BetweenEventsCut
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.bids_tasks import check_bids_tasks, of_bids_tasks

Movie = Literal["DespicableMe", "DiaryOfAWimpyKid", "FunwithFractals", "ThePresent"]
MOVIES: tuple[Movie, ...] = ("DespicableMe", "DiaryOfAWimpyKid", "FunwithFractals", "ThePresent")


class HbnMoviesTask(Cut):
    """Windows from ``video_start`` to ``video_stop``, labelled with the movie.

    ``moment`` counts windows from ``video_start``. Windows with the same label and moment show the same moment of the
    same movie, in every recording. The movies last 171, 117, 163 and 203 s, in the order of ``MOVIES``.

    Attributes:
        movies: Names of one to four movies; a single movie gives moments but no classes.
        length_s: Window length.
        stride_s: From one window, and moment, to the next; the window length by default.
        without_stop: Treatment of a movie without ``video_stop``; see ``between_events``.
    """

    citation: ClassVar[str] = (
        "Shirazi et al. 2024, HBN-EEG, doi 10.1101/2024.10.03.615261 (task-<movie>_events.json: video_start, "
        "video_stop); responses at equal moments: Petroni et al. 2018, The variability of neural responses to "
        "naturalistic videos change with age and sex, doi 10.1523/ENEURO.0244-17.2017"
    )

    without_class: ClassVar[str] = "add recordings of it, or leave it out of movies"

    name: Literal["hbn_movies"] = "hbn_movies"
    movies: tuple[Movie, ...] = Field(default=MOVIES, min_length=1)
    length_s: Seconds = 2.0
    stride_s: Seconds | None = None
    without_stop: Literal["leave_out", "to_segment_end"] = "leave_out"

    @field_validator("movies")
    @classmethod
    def _distinct(cls, movies: Sequence[Movie]) -> Sequence[Movie]:
        refuse_repeated(movies, "movie")
        return movies

    @property
    def target_spec(self) -> TargetSpec:
        """The movie."""
        return TargetSpec("unlabelled") if len(self.movies) == 1 else TargetSpec.of_classes(self.movies)

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse given movies that no recording shows; see the base class."""
        check_bids_tasks(recordings, sample_grid, self.movies, "movies", is_given="movies" in self.model_fields_set)

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings of the movies; see the base class."""
        return of_bids_tasks(recordings, sample_grid, self.movies)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut every movie; counted as in ``eegfm.windows.cutters.between_events``."""
        cut = BetweenEventsCut(
            start=("video_start",),
            stop=("video_stop",),
            length_s=self.length_s,
            stride_s=self.stride_s,
            without_stop=self.without_stop,
        )
        runs = cut.find(recordings, events, sample_grid)
        label = recordings["bids_task"].loc[pd.Index(runs.recording)].to_numpy(dtype=np.object_)
        return replace(runs, label=label)
