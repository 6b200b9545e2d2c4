"""What every cut offers: recordings and events in, runs of windows out, no signal touched."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from eegfm.config import StrictModel
from eegfm.windows.runs import Clock, Runs

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Offset = Annotated[float, Field(allow_inf_nan=False)]

Kind = Literal["unlabelled", "binary", "multiclass", "multilabel", "multioutput", "regression"]


class Answer(NamedTuple):
    """What is asked of a window.

    Args:
        kind: ``binary`` and ``multiclass`` fill the column ``label``, ``regression`` fills ``target``; ``multilabel``
            (K yes-or-no outputs) and ``multioutput`` (K outputs of one class each) fill ``targets``. Missing answers
            are NaN.
        classes: The classes; those of each output for ``multioutput``, by number in this order.
        outputs: Names of the K outputs of ``multilabel`` and ``multioutput``.
        unit: Of a regression's target.
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unit: str = ""


class Cut(StrictModel, ABC):
    """Base of all cuts. A task is a cut whose windows carry an answer, with the source of its definition."""

    citation: ClassVar[str] = ""

    @property
    def answer(self) -> Answer:
        """What is asked of its windows."""
        return Answer("unlabelled")

    @abstractmethod
    def find(self, recordings: pd.DataFrame, events: pd.DataFrame, clock: Clock) -> Runs:
        """Find the windows of one corpus.

        Windows never cross a segment's edge. What does not fit is dropped and counted, window by window or event by
        event; recordings are not dropped for it.

        Args:
            recordings: One row per recording in id order with index 0, 1, …; see ``eegfm.jobs.tables``.
            events: One row per event: ``recording_id``, ``onset_s`` (sample k lies at k / rate_hz), ``duration_s``,
                ``value`` and the corpus's own columns. ``duration_s`` and the own columns may be absent.
            clock: Rate, and the name of the cut for messages.

        Raises:
            ConfigError: A length is no whole number of samples, or a column is missing.
        """
