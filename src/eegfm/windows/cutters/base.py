"""Base class of cuts. Recordings and events go in, runs of windows come out; no signal is read."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import StrictModel, refuse_repeated, refuse_unused
from eegfm.targets import TargetSpec
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Offset = Annotated[float, Field(allow_inf_nan=False)]


class Cut(StrictModel, ABC):
    """Base of all cuts. A task is a cut whose windows carry an answer, with the source of its definition.

    Every cut has ``length_s``, the seconds of a window. It is a field, or a property where other fields decide it.
    """

    citation: ClassVar[str] = ""
    without_class: ClassVar[str] = "add recordings of it, or leave this cut out"
    """Advice for a user about a class that no recording has."""

    @property
    def target_spec(self) -> TargetSpec:
        """Answer that is asked of the cut's windows."""
        return TargetSpec("unlabelled")

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of one corpus.

        Windows never cross a segment's edge. What does not fit is dropped and counted, window by window or event by
        event; recordings are not dropped for it.

        Args:
            recordings: One row per recording in id order with index 0, 1, …; see ``eegfm.jobs.ingest.tables``.
            events: One row per event: ``recording_id``, ``onset_s`` (sample k lies at k / rate_hz), ``duration_s``,
                ``value`` and the corpus's own columns. ``duration_s`` and the own columns may be absent.
            sample_grid: Rate, and the name of the cut for messages.

        Raises:
            ConfigError: A length is no whole number of samples, or a column is missing.
        """
        chosen, counted = self.choose(recordings, sample_grid)
        runs = self.find_in(chosen, events, sample_grid)
        return replace(runs, counted={**counted, **runs.counted})

    def choose(self, recordings: pd.DataFrame, sample_grid: SampleGrid) -> tuple[pd.DataFrame, dict[str, int]]:
        """Choose the recordings to look at, all by default; index labels are kept.

        Returns:
            These recordings, and counts of the others.

        Raises:
            ConfigError: A column is missing.
        """
        return recordings, {}

    @abstractmethod
    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of the chosen recordings; see ``find``."""

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse configured names (of events, BIDS tasks, values of columns) that the whole corpus has nowhere.

        Args:
            recordings: As for ``find``.
            events: As for ``find``.
            sample_grid: Name of the cut.

        Raises:
            ConfigError: With the names that there are, or a column is missing.
        """

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """Source of the classes, for messages: in words, and one value per row of the corpus."""
        column = getattr(self, "column", "value")
        return f"events (column {column!r})", own_events(recordings, events)[0][column]


class PublishedClassesCut(Cut):
    """Base of tasks whose published classes are so many that a part of the corpus may lack some.

    Attributes:
        left_out: Classes that are not asked for; their windows are left out and counted. A class that no recording
            has is an error, so that it must stand here. Of a task with yes-or-no outputs, outputs that are not asked
            for; all windows stay.
    """

    without_class: ClassVar[str] = "add recordings of it, or name it in left_out"

    left_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _some_classes_remain(self) -> Self:
        published = self.published
        if published.kind not in ("multiclass", "multilabel"):
            refuse_unused(self, ["left_out"], f"where the answer is {published.kind}")
        what, names = ("class", published.classes) if published.classes else ("output", published.outputs)
        refuse_repeated(self.left_out, what)
        unknown = sorted(set(self.left_out) - set(names))
        if unknown:
            raise ValueError(f"left_out: {unknown[0]!r} is no {what}; there are {', '.join(names)}")
        n_left, n_needed = len(names) - len(self.left_out), 2 if published.classes else 1
        if self.left_out and n_left < n_needed:
            several = "classes" if published.classes else "outputs"
            raise ValueError(f"left_out leaves {n_left} of the {several}; {n_needed} or more must remain")
        return self

    @property
    @abstractmethod
    def published(self) -> TargetSpec:
        """Answer that is asked of the cut's windows where no class is left out."""

    @property
    def target_spec(self) -> TargetSpec:
        """The published classes or outputs but for those that are left out."""
        published = self.published
        if not self.left_out:
            return published
        if published.kind == "multilabel":
            outputs = tuple(name for name in published.outputs if name not in self.left_out)
            return published._replace(outputs=outputs)
        classes = tuple(name for name in published.classes if name not in self.left_out)
        return TargetSpec.of_classes(classes)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of the classes that are asked for; see the base class."""
        runs = super().find(recordings, events, sample_grid)
        if not self.left_out:
            return runs
        if runs.targets is None:
            return runs.without_labels(self.left_out)
        asked = [name not in self.left_out for name in self.published.outputs]
        return replace(runs, targets=runs.targets[:, asked])
