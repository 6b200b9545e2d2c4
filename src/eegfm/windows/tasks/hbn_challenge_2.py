"""EEG Foundation Challenge 2025, challenge 2: the externalizing score."""

import random
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.cutters.fixed import fixed_windows
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import tile
from eegfm.windows.tasks.bids_tasks import SomeBidsTasksCut
from eegfm.windows.tasks.recording_value import with_value
from eegfm.windows.tasks.traits import Factor


class HbnChallenge2Task(SomeBidsTasksCut):
    """A crop at a random place of each window of a fixed grid; the target is a score of the child.

    For recordings without gaps, the crops equal those of the official scorer, sample by sample. The scorer's grid runs
    over the whole file. The grid here starts again in every segment, so no crop spans a gap.

    Attributes:
        factor: Name of the score.
        window_s: Length of the grid's windows.
        stride_s: From one window of the grid to the next.
        crop_s: Length of the crop.
        seed: Seed of the random places. Every recording starts with it and draws one place per window, in order.
        bids_tasks: Only recordings of these BIDS tasks; if empty, all. Training may use any.
    """

    citation: ClassVar[str] = (
        "EEG Foundation Challenge 2025, local_scoring.py (challenge 2, DatasetWrapper) of the start kit; scores: "
        "Shirazi et al. 2024, doi 10.1101/2024.10.03.615261"
    )

    name: Literal["hbn_challenge_2"] = "hbn_challenge_2"
    factor: Factor = "externalizing"
    window_s: Seconds = 4.0
    stride_s: Seconds = 2.0
    crop_s: Seconds = 2.0
    seed: int = 42
    bids_tasks: tuple[str, ...] = ("contrastChangeDetection",)

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop_s > self.window_s:
            raise ValueError(f"crop_s {self.crop_s:g} is longer than window_s {self.window_s:g}; shorten it")
        return self

    @property
    def length_s(self) -> float:
        """Length of a window: that of the crop."""
        return self.crop_s

    @property
    def target_spec(self) -> TargetSpec:
        """A score."""
        return TargetSpec("regression", unit="score")

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Crop the recordings of children with a score; see the base class."""
        valued, n_without = with_value(recordings, sample_grid, self.factor)
        grid = fixed_windows(valued, sample_grid, self.window_s, self.stride_s)
        window, crop = grid.n_samples, sample_grid.samples("crop_s", self.crop_s)
        begins = grid.start
        run, start = tile(begins, begins + (grid.windows_per_run - 1) * grid.stride + window, window, grid.stride)
        recording = grid.recording[run]
        number = np.arange(len(recording)) - np.searchsorted(recording, recording, side="left")
        offsets = scorer_offsets(self.seed, int(number.max(initial=-1)) + 1, window - crop)
        return Runs(
            recording=recording,
            segment=grid.segment[run],
            start=start + offsets[number],
            n_samples=crop,
            stride=crop,
            target=valued[self.factor].loc[pd.Index(recording)].to_numpy(dtype=float),
            counted={"n_recordings_without_label": n_without, **grid.counted},
        )


def scorer_offsets(seed: int, n: int, most: int) -> Ints:
    """(n,) places from 0 to ``most`` as the scorer draws them for one recording, the same for every recording.

    The numbers come from Python's own generator, so this is a loop. Its length is that of one recording, however many
    recordings there are.
    """
    rng = random.Random(seed)  # noqa: S311  the scorer's generator, nothing secret
    return np.array([rng.randint(0, most) for _ in range(n)], dtype=np.int64)
