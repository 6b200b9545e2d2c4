"""Strata of windows that may share a batch: one corpus, one montage and one length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError
from eegfm.store.stores import Stores, store_of
from eegfm.training.plans.permutation import Ints
from eegfm.training.plans.plan import Groups

MISSING = -1
"""Label or moment of a window without one, as in ``eegfm.windows.runs``."""
_KIND = ["corpus", "montage", "n_samples"]


@dataclass(frozen=True)
class Stratum:
    """Columns over the W windows of one corpus, montage and length, ordered by recording and start.

    Names have become numbers in alphabetical order. The windows' order here does not depend on the rows' order in the
    table, so that nothing that follows from it does.

    Args:
        index: Index that the windows are drawn from.
        position: (W,) number of each window in the index, found by its recording and first sample.
        person: (W,) number of the person; of the identity where the table tells it.
        recording: (W,) number of the recording.
        segment: (W,) number of the segment within the recording.
        start: (W,) first sample.
        stride: (W,) samples to the next window of the same run, and to the next moment.
        moment: (W,) number on the task's time grid, ``MISSING`` if there is none.
        label: (W,) number of the class, ``MISSING`` if there is none.
    """

    index: WindowIndex
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
        return f"{self.index.corpus} {self.index.montage} {self.n_samples} samples"

    @property
    def n_samples(self) -> int:
        """Length of the windows."""
        return self.index.n_samples

    def segments(self) -> Ints:
        """(W,) number of the segment of each window among those of all recordings, from 0 without gaps, rising."""
        is_first = np.diff(self.recording, prepend=-1) != 0
        is_first |= np.diff(self.segment, prepend=-1) != 0
        numbers: Ints = np.cumsum(is_first) - 1
        return numbers

    def only(self, chosen: NDArray[np.bool_]) -> "Stratum":
        """The chosen windows."""
        columns: dict[str, Any] = {name: v[chosen] for name, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **columns)


def strata(windows: pd.DataFrame, groups: Groups, stores: Stores) -> Iterator[Stratum]:
    """Take a table of windows apart, in the order of corpus, montage and length.

    Args:
        windows: Rows with the columns of ``eegfm.windows.runs.COLUMNS``, one per run; with ``identity`` where persons
            go under several names.
        groups: By corpus, where the windows are drawn from; others may stand there too.
        stores: Stores by corpus: they say where in an index a recording's sample lies.

    Raises:
        ConfigError: A window is in none of the groups.
        StoreError: A recording is not in its store, or a window leaves it.
    """
    runs = {name: windows[name].to_numpy(np.int64) for name in ("segment", "start", "stride", "moment", "n_windows")}
    runs["person"] = _codes(windows["identity" if "identity" in windows else "person"])
    runs["recording"] = _codes(windows["recording_id"])
    runs["label"] = _codes(windows["label"])
    kind_of_run = windows.groupby(_KIND, sort=True).ngroup().to_numpy()
    distinct = windows[_KIND].drop_duplicates().sort_values(_KIND).itertuples(index=False, name=None)
    for k, (corpus, montage, n_samples) in enumerate(distinct):
        of_kind = {name: values[kind_of_run == k] for name, values in runs.items()}
        extents = (of_kind["n_windows"] - 1) * of_kind["stride"] + int(n_samples)
        ids = windows["recording_id"][kind_of_run == k]
        of_kind["row"] = store_of(stores, corpus).locate(montage, ids, of_kind["start"], extents)[0]
        columns = _expanded(of_kind)
        index = _index_of(groups.get(corpus, ()), corpus, montage, int(n_samples))
        columns["position"] = _positions(index, columns.pop("row"), columns["label"])
        keys = [columns[name] for name in ("label", "moment", "start", "segment", "recording")]
        order = np.lexsort(keys)
        yield Stratum(index=index, **{name: values[order] for name, values in columns.items()})


def _index_of(groups: Sequence[WindowIndex], corpus: str, montage: str, n_samples: int) -> WindowIndex:
    found = [index for index in groups if (index.montage, index.n_samples) == (montage, n_samples)]
    if not found:
        raise ConfigError(
            f"pairs are to be made of windows of {corpus}, {montage}, {n_samples} samples, but none of them is drawn "
            "from; make both from one mixture and one split"
        )
    assert len(found) == 1, "windows of one montage and length are one group"
    return found[0]


def _positions(index: WindowIndex, rows: Ints, labels: Ints) -> Ints:
    """Numbers of windows in an index.

    Args:
        index: Index that the windows are drawn from.
        rows: (W,) rows in the montage's signals of the windows' first samples: those name recording and sample.
        labels: (W,) their classes. Of windows that begin at one sample, which only these tell apart, the index holds
            the classes in the same order.

    Raises:
        ConfigError: A window is not in the index.
    """
    every = np.arange(len(index))
    all_rows, run = index.locate(every)[0], index.runs_of(every)[0]
    all_labels = index.targets["label"][run] if "label" in index.targets else np.zeros_like(every)
    there, asked = np.lexsort((all_labels, all_rows)), np.lexsort((labels, rows))
    all_rows, rows = all_rows[there], rows[asked]
    nth = np.arange(len(rows)) - np.searchsorted(rows, rows)
    first, n_there = np.searchsorted(all_rows, rows), np.searchsorted(all_rows, rows, side="right")
    n_there -= first
    n_asked = np.searchsorted(rows, rows, side="right") - np.searchsorted(rows, rows)
    if ((n_there > 1) & (n_there != n_asked)).any():
        raise ConfigError(
            f"several windows of {index.corpus} begin at one sample and differ in their class, and pairs are to be "
            "made of some of them only; make pairs of all windows of the cut"
        )
    place = first + nth
    is_there = place < len(all_rows)
    is_there[is_there] = all_rows[place[is_there]] == rows[is_there]
    if not is_there.all():
        raise ConfigError(
            f"{(~is_there).sum()} of {len(rows)} windows that pairs are to be made of ({index.corpus}, "
            f"{index.montage}, {index.n_samples} samples) are not drawn from; make both from one mixture and one split"
        )
    positions = np.empty(len(rows), dtype=np.int64)
    positions[asked] = there[place]
    return positions


def _codes(names: "pd.Series[str]") -> Ints:
    """Place of each name among the sorted names, ``MISSING`` for a missing one."""
    return pd.factorize(names, sort=True)[0].astype(np.int64)


def _expanded(runs: dict[str, Ints]) -> dict[str, Ints]:
    """One entry per window, run by run: ``eegfm.windows.runs.expand`` for numbers alone."""
    n_windows = runs.pop("n_windows")
    run = np.repeat(np.arange(len(n_windows)), n_windows)
    within = np.arange(len(run)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    columns = {name: values[run] for name, values in runs.items()}
    for name in ("start", "row"):
        columns[name] += within * columns["stride"]
    columns["moment"] += np.where(columns["moment"] == MISSING, 0, within)
    return columns
