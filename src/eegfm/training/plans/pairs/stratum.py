"""Strata of windows that may share a batch: one corpus, one montage and one length."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.windows.runs import NO_MOMENT, Ints

MISSING = -1
"""Label of a window without one."""
_KIND = ["corpus", "montage", "n_samples"]


@dataclass(frozen=True)
class Stratum:
    """Columns over the W windows of one corpus, montage and length, ordered by recording and start.

    Names have become numbers in alphabetical order. The windows' order here does not depend on the rows' order in the
    table, so that nothing that follows from it does.

    Args:
        corpus: Corpus name.
        montage: Montage name.
        n_samples: Length of the windows.
        position: (W,) number of each window when the windows of these three are counted in the table's order.
        person: (W,) number of the person; of the identity where the table tells it.
        recording: (W,) number of the recording.
        segment: (W,) number of the segment within the recording.
        start: (W,) first sample.
        stride: (W,) samples to the next window of the same run, and to the next moment.
        moment: (W,) number on the task's time grid, ``NO_MOMENT`` where there is none.
        label: (W,) number of the class, ``MISSING`` where there is none.
    """

    corpus: str
    montage: str
    n_samples: int
    position: Ints
    person: Ints
    recording: Ints
    segment: Ints
    start: Ints
    stride: Ints
    moment: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.position)

    @property
    def name(self) -> str:
        """Corpus, montage and length in words."""
        return f"{self.corpus} {self.montage} {self.n_samples} samples"

    def only(self, chosen: NDArray[np.bool_]) -> "Stratum":
        """The chosen windows."""
        columns: dict[str, Any] = {name: v[chosen] for name, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **columns)


def strata(windows: pd.DataFrame) -> Iterator[Stratum]:
    """Take a table of windows apart, in the order of corpus, montage and length.

    Args:
        windows: Rows with the columns of ``eegfm.windows.runs.COLUMNS``, one per run; with ``identity`` where persons
            go under several names.
    """
    runs = {name: windows[name].to_numpy(np.int64) for name in ("segment", "start", "stride", "moment", "n_windows")}
    runs["person"] = _codes(windows["identity" if "identity" in windows else "person"])
    runs["recording"] = _codes(windows["recording_id"])
    runs["label"] = _codes(windows["label"])
    kind_of_run = windows.groupby(_KIND, sort=True).ngroup().to_numpy()
    distinct = windows[_KIND].drop_duplicates().sort_values(_KIND).itertuples(index=False, name=None)
    for k, (corpus, montage, n_samples) in enumerate(distinct):
        columns = _expanded({name: values[kind_of_run == k] for name, values in runs.items()})
        keys = [columns[name] for name in ("label", "moment", "start", "segment", "recording")]
        order = np.lexsort(keys)
        ordered = {name: values[order] for name, values in columns.items()}
        yield Stratum(corpus=str(corpus), montage=str(montage), n_samples=int(n_samples), position=order, **ordered)


def _codes(names: "pd.Series[str]") -> Ints:
    """Place of each name among the sorted names, ``MISSING`` for a missing one."""
    return pd.factorize(names, sort=True)[0].astype(np.int64)


def _expanded(runs: dict[str, Ints]) -> dict[str, Ints]:
    """One entry per window, run by run: ``eegfm.windows.runs.expand`` for numbers alone."""
    n_windows = runs.pop("n_windows")
    run = np.repeat(np.arange(len(n_windows)), n_windows)
    within = np.arange(len(run)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    columns = {name: values[run] for name, values in runs.items()}
    columns["start"] += within * columns["stride"]
    columns["moment"] += np.where(columns["moment"] == NO_MOMENT, 0, within)
    return columns
