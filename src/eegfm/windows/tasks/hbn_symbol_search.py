"""HBN, symbol search: correctness of the answer."""

from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError
from eegfm.targets import TargetSpec
from eegfm.windows.cutters.base import Seconds
from eegfm.windows.runs import Ints, Runs, SampleGrid
from eegfm.windows.spans import enclosing_segment, nearest_sample, own_events, segments
from eegfm.windows.tasks.bids_tasks import OneBidsTaskCut

RESPONSE, PAGE = "trialResponse", "newPage"
CLASSES = ("incorrect", "correct")


class HbnSymbolSearchTask(OneBidsTaskCut):
    """One window before each answer, labelled with whether the answer is correct.

    A page holds fifteen items. Each item asks whether a symbol is among others. The only events are the new page and
    the answers, so an item begins with the page or with the answer to the previous item. A window ends with the answer.
    It must not begin before its item, or it would contain the previous answer; shorter items are therefore left out. In
    the twenty persons of release 5's mini set the items last 1.4 to 45 s (median 5.7 s), and 91 % of the answers are
    correct.

    Attributes:
        length_s: Window length.
    """

    citation: ClassVar[str] = (
        "Langer et al. 2017, A resource for assessing information processing in the developing brain using EEG and eye "
        "tracking, doi 10.1038/sdata.2017.40 (after WISC-IV); events: HBN-EEG, task-symbolSearch_events.json; the "
        "windows are our own choice"
    )

    bids_task = "symbolSearch"

    name: Literal["hbn_symbol_search"] = "hbn_symbol_search"
    length_s: Seconds = 2.0

    @property
    def target_spec(self) -> TargetSpec:
        """Incorrect or correct."""
        return TargetSpec("binary", CLASSES)

    def find_in(self, recordings: pd.DataFrame, events: pd.DataFrame, sample_grid: SampleGrid) -> Runs:
        """Cut before every answer; see the base class.

        Counts: ``n_responses``. Responses that are left out are counted by the first reason of:
        ``n_responses_without_answer``, ``…_without_item_start``, ``…_sooner_than_window`` and ``…_out_of_range``.
        """
        for column in ("user_answer", "correct_answer"):
            if column not in events:
                raise ConfigError(
                    f"cut {sample_grid.cut!r}: events have no column {column!r}; "
                    f"there are {sorted(map(str, events.columns))}"
                )
        length = sample_grid.samples("length_s", self.length_s)
        found, recording, item_s = _with_item_start(recordings, events)
        stop = nearest_sample(found["onset_s"].to_numpy(dtype=float) * sample_grid.rate_hz)
        item = nearest_sample(np.nan_to_num(item_s) * sample_grid.rate_hz)
        segment, fits = enclosing_segment(segments(recordings), recording, stop - length, stop)
        answered = (found["user_answer"].isin(("0", "1")) & found["correct_answer"].isin(("0", "1"))).to_numpy()
        tests = {
            "without_answer": answered,
            "without_item_start": ~np.isnan(item_s),
            "sooner_than_window": stop - item >= length,
            "out_of_range": fits,
        }
        kept = np.ones(len(found), dtype=bool)
        counted = {"n_responses": len(found)}
        for what, passed in tests.items():
            counted[f"n_responses_{what}"] = int((kept & ~passed).sum())
            kept &= passed
        is_correct = (found["user_answer"] == found["correct_answer"]).to_numpy(dtype=np.int64)
        counted["n_recordings_without_window"] = len(recordings) - len(np.unique(recording[kept]))
        return Runs(
            recording=recording[kept],
            segment=segment[kept],
            start=stop[kept] - length,
            n_samples=length,
            stride=length,
            label=np.array(CLASSES, dtype=object)[is_correct[kept]],
            counted=counted,
        )


def _with_item_start(recordings: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, Ints, NDArray[np.float64]]:
    """Answers in order, the labels of their recordings, and the onsets of the events before; NaN if there is none."""
    found, recording = own_events(recordings, events[events["value"].isin((RESPONSE, PAGE))])
    onset_s = found["onset_s"].to_numpy(dtype=float)
    order = np.lexsort((onset_s, recording))
    found, recording, onset_s = found.iloc[order], recording[order], onset_s[order]
    before_s = np.full(len(found), np.nan)
    before_s[1:] = np.where(recording[1:] == recording[:-1], onset_s[:-1], np.nan)
    is_response = (found["value"] == RESPONSE).to_numpy()
    return found[is_response], recording[is_response], before_s[is_response]
