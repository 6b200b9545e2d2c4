"""HBN, sequence learning: block of the sequence (one to five), or number of its targets (six or eight)."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from eegfm.config import refuse_repeated
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import PublishedClassesCut, Seconds
from eegfm.windows.cutters.between_events import windows_between
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import own_events
from eegfm.windows.tasks.bids_tasks import SomeBidsTasksCut

BidsTask = Literal["seqLearning6target", "seqLearning8target"]
BLOCKS = {f"learningBlock_{n}": f"block_{n}" for n in range(1, 6)}
TARGETS: dict[BidsTask, str] = {"seqLearning6target": "6_targets", "seqLearning8target": "8_targets"}
DOT_OFF = r"dot_no\d+_OFF"


class HbnSequenceLearningTask(PublishedClassesCut, SomeBidsTasksCut):
    """Windows while a sequence of dots is shown, from the start of each block to its last ``dot_no…_OFF``.

    The same sequence is shown in five blocks of about 12 s (six places, seven dots) or 17.7 s (eight places, ten
    dots); what follows up to the next block is the child's recall, and is left out. ``moment`` counts windows from
    the block's start, so equal moments show the same dots. Blocks come in one order, so they differ in time on task
    too; the longer sequence is for older children, so its class tells ages apart.

    Attributes:
        classes: ``block``, one to five; or ``targets``, six or eight.
        bids_tasks: Which of the two.
        length_s: Window length; a dot comes every 1.7 to 1.9 s.
        stride_s: From one window to the next; the window length by default.
    """

    citation: ClassVar[str] = (
        "Langer et al. 2017, A resource for assessing information processing in the developing brain using EEG and eye "
        "tracking, doi 10.1038/sdata.2017.40; events: HBN-EEG, task-seqLearning6target_events.json and "
        "task-seqLearning8target_events.json; the windows are our own choice"
    )

    name: Literal["hbn_sequence_learning"] = "hbn_sequence_learning"
    classes: Literal["block", "targets"] = "block"
    bids_tasks: tuple[BidsTask, ...] = Field(default=tuple(TARGETS), min_length=1)
    length_s: Seconds = 2.0
    stride_s: Seconds | None = None

    @model_validator(mode="after")
    def _there_are_classes(self) -> Self:
        refuse_repeated(self.bids_tasks, "BIDS task")
        if self.classes == "targets" and len(self.bids_tasks) == 1:
            raise ValueError(f"classes targets needs both of {', '.join(TARGETS)}; name both, or choose block")
        return self

    @property
    def published(self) -> TargetSpec:
        """The block, or the number of targets."""
        if self.classes == "targets":
            return TargetSpec("binary", tuple(TARGETS.values()))
        return TargetSpec("multiclass", tuple(BLOCKS.values()))

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut every block; counted beside what ``windows_between`` counts: ``n_events``, ``n_events_without_dots``."""
        block, recording, start_s, stop_s = _blocks(recordings, events)
        has_dots = ~np.isnan(stop_s)
        runs, of = windows_between(
            recordings,
            sample_grid,
            recording[has_dots],
            start_s[has_dots],
            stop_s[has_dots],
            self.length_s,
            self.stride_s,
        )
        label = block[has_dots][of]
        if self.classes == "targets":
            label = recordings["bids_task"].loc[pd.Index(runs.recording)].map(TARGETS).to_numpy(dtype=object)
        counted = {
            "n_recordings_without_window": len(recordings) - len(np.unique(runs.recording)),
            "n_events": len(start_s),
            "n_events_without_dots": int((~has_dots).sum()),
        }
        return replace(runs, label=label, counted={**counted, **runs.counted})


def _blocks(
    recordings: pd.DataFrame, events: pd.DataFrame
) -> tuple[NDArray[np.object_], Ints, NDArray[np.float64], NDArray[np.float64]]:
    """Name, recording, start and last dot's end of every block, in order; NaN for a block without dots."""
    is_own = events["value"].isin(BLOCKS.keys()) | events["value"].str.fullmatch(DOT_OFF)
    found, recording = own_events(recordings, events[is_own.fillna(value=False).astype(bool)])
    is_dot = (~found["value"].isin(BLOCKS.keys())).to_numpy()
    onset_s = found["onset_s"].to_numpy(dtype=float)
    order = np.lexsort((is_dot, onset_s, recording))
    value, recording = found["value"].to_numpy(dtype=object)[order], recording[order]
    is_dot, onset_s = is_dot[order], onset_s[order]
    begins = np.flatnonzero(~is_dot)
    number = np.cumsum(~is_dot) - 1  # -1 before the first block
    of_block = is_dot & (number >= 0)
    of_block[of_block] = recording[of_block] == recording[begins][number[of_block]]
    stop_s = np.full(len(begins), np.nan)
    np.fmax.at(stop_s, number[of_block], onset_s[of_block])
    label = np.array([BLOCKS[name] for name in value[begins]], dtype=object)
    return label, recording[begins], onset_s[begins], stop_s
