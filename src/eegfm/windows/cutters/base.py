"""Base class of cuts. Recordings and events go in, runs of windows come out; no signal is read."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import pandas as pd
from pydantic import Field, model_validator

from eegfm.config import StrictModel, refuse_repeated, refuse_unused
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.spans import own_events

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Offset = Annotated[float, Field(allow_inf_nan=False)]

Kind = Literal["unlabelled", "binary", "multiclass", "multilabel", "multioutput", "regression"]


class TargetSpec(NamedTuple):
    """Kind of the target of a window, with its classes, outputs or unit.

    Args:
        kind: ``binary`` and ``multiclass`` fill the column ``label``, ``regression`` fills ``target``; ``multilabel``
            (K yes-or-no outputs) and ``multioutput`` (K outputs of one class each) fill ``targets``. Missing targets
            are NaN.
        classes: The classes; for ``multioutput`` the classes of each output, numbered in this order.
        outputs: Names of the K outputs of ``multilabel`` and ``multioutput``.
        unit: Unit of a regression's target.
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unit: str = ""


class Cut(StrictModel, ABC):
    """Base of all cuts. A task is a cut whose windows have a target, with the source of its definition."""

    citation: ClassVar[str] = ""
    without_class: ClassVar[str] = "add recordings of it, or leave this cut out"
    """Advice to the user if no recording has a class."""

    @property
    def target_spec(self) -> TargetSpec:
        """Target of the windows."""
        return TargetSpec("unlabelled")

    @abstractmethod
    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of one corpus.

        Windows never cross a segment's edge. Windows and events that do not fit are dropped and counted one by one.
        Their recordings are kept.

        Args:
            recordings: One row per recording in id order with index 0, 1, …; see ``eegfm.jobs.ingest.tables``.
            events: One row per event: ``recording_id``, ``onset_s`` (sample k lies at k / rate_hz), ``duration_s``,
                ``value`` and the corpus's own columns. ``duration_s`` and the own columns may be absent.
            sample_grid: Rate, and the name of the cut for messages.

        Raises:
            ConfigError: A length is no whole number of samples, or a column is missing.
        """

    def check_names(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> None:
        """Refuse configured names (of events, BIDS tasks, values of columns) that the whole corpus does not have.

        Args:
            recordings: As for ``find``.
            events: As for ``find``.
            sample_grid: Name of the cut.

        Raises:
            ConfigError: A name matches nothing (the error lists the existing names), or a column is missing.
        """

    def class_values(self, recordings: pd.DataFrame, events: pd.DataFrame) -> "tuple[str, pd.Series[Any]]":
        """Source of the classes for messages: its name, and one value per row of the corpus."""
        return "events (column 'value')", own_events(recordings, events)[0]["value"]


class PublishedClassesCut(Cut):
    """Base of tasks with many published classes, some of which a part of the corpus may lack.

    Attributes:
        left_out: Classes that are left out; their windows are dropped and counted. A class that no recording has is an
            error unless it is listed here.
    """

    without_class: ClassVar[str] = "add recordings of it, or name it in left_out"

    left_out: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _some_classes_remain(self) -> Self:
        published = self.published
        if published.kind != "multiclass":
            refuse_unused(self, ["left_out"], f"where the answer is {published.kind}")
        refuse_repeated(self.left_out, "class")
        unknown = sorted(set(self.left_out) - set(published.classes))
        if unknown:
            raise ValueError(f"left_out: {unknown[0]!r} is no class; there are {', '.join(published.classes)}")
        if self.left_out and len(self.target_spec.classes) < 2:
            raise ValueError(f"left_out leaves {len(self.target_spec.classes)} of the classes; two or more must remain")
        return self

    @property
    @abstractmethod
    def published(self) -> TargetSpec:
        """Target of the windows if no class is left out."""

    @abstractmethod
    def find_published(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of all published classes; see ``find``."""

    @property
    def target_spec(self) -> TargetSpec:
        """The published classes without ``left_out``."""
        published = self.published
        if not self.left_out:
            return published
        classes = tuple(name for name in published.classes if name not in self.left_out)
        return published._replace(kind="binary" if len(classes) == 2 else "multiclass", classes=classes)

    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Find the windows of the remaining classes; see the base class."""
        runs = self.find_published(recordings, events, sample_grid)
        return runs.without_labels(self.left_out) if self.left_out else runs
