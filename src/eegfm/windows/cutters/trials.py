"""Windows around trials, with reaction time or correctness as the target."""

from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated, refuse_unused
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Cut, Offset, Seconds
from eegfm.windows.cutters.event_locked import check_event_values, refuse_missing_column
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import enclosing_segment, nearest_sample, own_events, segments
from eegfm.windows.trials import TrialRule, trial_table

CLASSES = ("incorrect", "correct")


class TrialsCut(Cut):
    """One window per trial, at a fixed time after its start, its stimulus or its response.

    A trial lasts from its start to the next start. ``eegfm.windows.trials`` matches its stimulus and its response. A
    trial is left out if it lacks an event that the anchor or the target needs.

    Attributes:
        start: Values of the events that start a trial; if empty, each stimulus starts one.
        stimulus: Values of the stimuli.
        response: Values of the responses.
        column: Column of the events table that holds the values.
        anchor: The event that the window lies at.
        offset_s: From the anchor to the window; negative for windows that begin before it.
        length_s: Window length.
        target: ``reaction_time_s``, from stimulus to response; ``correct``, by the feedback to the response; or
            ``none``.
        keeps_last_trial: Whether a recording's last trial counts, although no next start ends it.
        feedback_column: Column of the events table with the feedback, for the target ``correct``.
        correct_feedback: Values of the feedback to a correct response.
        incorrect_feedback: Values of the feedback to an incorrect response.
    """

    name: Literal["trials"] = "trials"
    start: tuple[str, ...] = ()
    stimulus: tuple[str, ...] = Field(min_length=1)
    response: tuple[str, ...] = ()
    column: str = "value"
    anchor: Literal["trial_start", "stimulus", "response"] = "stimulus"
    offset_s: Offset = 0.0
    length_s: Seconds
    target: Literal["reaction_time_s", "correct", "none"] = "none"
    keeps_last_trial: bool = False
    feedback_column: str = "feedback"
    correct_feedback: tuple[str, ...] = ("smiley_face",)
    incorrect_feedback: tuple[str, ...] = ("sad_face",)

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        refuse_repeated([*self.start, *self.stimulus, *self.response], "event value")
        refuse_repeated([*self.correct_feedback, *self.incorrect_feedback], "feedback")
        if self._needs_response and not self.response:
            raise ValueError(f"anchor {self.anchor} with target {self.target} needs values of response")
        if self.target != "correct":
            feedback = ["feedback_column", "correct_feedback", "incorrect_feedback"]
            refuse_unused(self, feedback, f"with target {self.target}")
        elif not (self.correct_feedback and self.incorrect_feedback):
            raise ValueError("target correct needs values of correct_feedback and of incorrect_feedback")
        return self

    @property
    def target_spec(self) -> TargetSpec:
        """Seconds from stimulus to response, or whether it was correct."""
        if self.target == "reaction_time_s":
            return TargetSpec("regression", unit="s")
        return TargetSpec("binary", CLASSES) if self.target == "correct" else TargetSpec("unlabelled")

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse values that no event has; see the base class."""
        values = {"start": self.start, "stimulus": self.stimulus, "response": self.response}
        check_event_values(values, recordings, events, sample_grid, self.column)
        if self.target == "correct":
            feedback = {"correct_feedback": self.correct_feedback, "incorrect_feedback": self.incorrect_feedback}
            check_event_values(feedback, recordings, events, sample_grid, self.feedback_column)

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """The feedback, where it is the answer; see the base class."""
        if self.target != "correct":
            return super().class_values(recordings, events)
        found = own_events(recordings, events)[0][self.feedback_column]
        return f"events (column {self.feedback_column!r})", found

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut at every trial; see the base class.

        Counts: ``n_recordings_without_window``, ``n_trials_closed``, ``n_trials_open`` (last of their recordings).
            Trials
        that are left out are counted by the first reason of: ``n_trials_without_stimulus``, ``…_without_response``,
        ``…_without_feedback``, ``…_out_of_range`` (the window lies in no segment), ``…_across_gaps`` (the window lies
        in another segment than the events of its anchor or target).
        """
        trials, counted = self._usable(self._trials(recordings, events, sample_grid))
        length = sample_grid.samples("length_s", self.length_s)
        anchor_s = trials[f"{self.anchor}_s"].to_numpy(dtype=float)
        start = nearest_sample((anchor_s + self.offset_s) * sample_grid.rate_hz)
        recording = trials["recording"].to_numpy(dtype=np.int64)
        found = segments(recordings)
        segment, fits = enclosing_segment(found, recording, start, start + length)
        with_events = fits & self._holds_events(found, trials, segment, sample_grid.rate_hz)
        kept = trials[with_events]
        reaction_time_s = (kept["response_s"] - kept["stimulus_s"]).to_numpy(dtype=float)
        label = np.array(CLASSES, dtype=object)[kept["correct"].fillna(value=False).to_numpy(dtype=np.int64)]
        return Runs(
            recording=recording[with_events],
            segment=segment[with_events],
            start=start[with_events],
            n_samples=length,
            stride=length,
            label=label if self.target == "correct" else None,
            target=reaction_time_s if self.target == "reaction_time_s" else None,
            counted={
                "n_recordings_without_window": len(recordings) - kept["recording"].nunique(),
                **counted,
                "n_trials_out_of_range": int((~fits).sum()),
                "n_trials_across_gaps": int((fits & ~with_events).sum()),
            },
        )

    @property
    def _needs_stimulus(self) -> bool:
        return self.anchor == "stimulus" or self.target == "reaction_time_s"

    @property
    def _needs_response(self) -> bool:
        return self.anchor == "response" or self.target != "none"

    def _trials(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> pd.DataFrame:
        """All trials of the recordings."""
        needed = [self.column, *([self.feedback_column] if self.target == "correct" else [])]
        for column in needed:
            refuse_missing_column(events, sample_grid, column)
        rule = TrialRule(
            stimulus=self.stimulus,
            response=self.response,
            start=self.start,
            column=self.column,
            feedback=self.feedback_column,
            correct=self.correct_feedback,
            incorrect=self.incorrect_feedback,
        )
        return trial_table(recordings, events, rule)

    def _usable(self, trials: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
        """Trials with all events that anchor and target need, and the number of other trials by reason."""
        is_closed = trials["trial_stop_s"].notna()
        counted = {"n_trials_closed": int(is_closed.sum()), "n_trials_open": int((~is_closed).sum())}
        trials = trials if self.keeps_last_trial else trials[is_closed]
        needs = {"stimulus_s": self._needs_stimulus, "response_s": self._needs_response}
        for column, is_needed in {**needs, "correct": self.target == "correct"}.items():
            lacks = trials[column].isna() & is_needed
            what = {"correct": "feedback"}.get(column, column.removesuffix("_s"))
            counted[f"n_trials_without_{what}"] = int(lacks.sum())
            trials = trials[~lacks]
        return trials, counted

    def _holds_events(
        self, found: dict[str, Ints], trials: pd.DataFrame, segment: Ints, rate_hz: float
    ) -> NDArray[np.bool_]:
        """Tell whether the events of a window's anchor and target lie in the window's segment."""
        times = ("stimulus_s", "response_s") if self.target == "reaction_time_s" else ()
        recording = trials["recording"].to_numpy(dtype=np.int64)
        holds = np.ones(len(trials), dtype=bool)
        for column in {f"{self.anchor}_s", *times}:
            sample = nearest_sample(trials[column].to_numpy(dtype=float) * rate_hz)
            own, inside = enclosing_segment(found, recording, sample, sample + 1)
            holds &= inside & (own == segment)
        return holds
