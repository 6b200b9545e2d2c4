"""Runs of equally spaced windows, and the table that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.errors import ConfigError

Ints = NDArray[np.int64]

COLUMNS = {
    "recording_id": "str",
    "corpus": "str",
    "montage": "str",
    "person": "str",
    "cut": "str",
    "segment": "int32",
    "start": "int64",
    "n_samples": "int32",
    "stride": "int32",
    "n_windows": "int32",
    "moment": "int32",
    "label": "str",
    "target": "float64",
    "targets": "object",
}
"""Columns of the windows table.

One row is a run: ``n_windows`` windows of ``n_samples`` samples with the same label. The first window starts at
``start``, and each next one ``stride`` samples later. A fixed grid is one row per segment. A trial is one row with a
single window. ``moment`` numbers the run's first window on the time grid of its task (0 at the start of a movie) and
rises by one per window; it is -1 without such a grid. ``label`` is a class, ``target`` a number, ``targets`` one number
per output of a multilabel or multioutput task. A task fills one of the three.
"""
NO_MOMENT = -1
_PER_RUN = ("n_windows", "moment", "target", "targets")


@dataclass(frozen=True)
class SampleGrid:
    """Seconds to whole samples, with the name of the cut for messages.

    Args:
        rate_hz: Rate of all recordings.
        cut: Name of the cut in the parameters.
    """

    rate_hz: float
    cut: str

    def samples(self, key: str, seconds: float) -> int:
        """Whole samples in a duration.

        Raises:
            ConfigError: The duration is no whole number of samples, or is zero.
        """
        n = seconds * self.rate_hz
        if abs(n - round(n)) > 1e-6:
            raise ConfigError(
                f"cut {self.cut!r}: {key} {seconds:g} is {n:g} samples at {self.rate_hz:g} Hz; "
                f"choose a multiple of {1 / self.rate_hz:g} s"
            )
        if seconds > 0 and round(n) < 1:
            raise ConfigError(f"cut {self.cut!r}: {key} {seconds:g} is less than a sample at {self.rate_hz:g} Hz")
        return round(n)


@dataclass(frozen=True)
class Runs:
    """Runs that a cut finds in the recordings of one corpus, as columns of equal length.

    Args:
        recording: (R,) index label of the run's row in the recordings table.
        segment: (R,) number of the segment that holds the whole run.
        start: (R,) first sample.
        n_samples: Length of every window.
        stride: Samples from one window to the next.
        n_windows: (R,) windows of each run; None for one window each.
        moment: (R,) number of the first window on the task's time grid; None without such a grid.
        label: (R,) class, missing values are not allowed; None if the cut has no classes.
        target: (R,) number to predict; None if there is none.
        targets: (R, K) one number per output; None if there is one output.
        counted: Number of items left out, by name of the reason, e.g. ``n_events_out_of_range``.
    """

    recording: Ints
    segment: Ints
    start: Ints
    n_samples: int
    stride: int
    n_windows: Ints | None = None
    moment: Ints | None = None
    label: NDArray[np.object_] | None = None
    target: NDArray[np.float64] | None = None
    targets: NDArray[np.float32] | None = None
    counted: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = (self.segment, self.start, self.n_windows, self.moment, self.label, self.target, self.targets)
        assert all(len(c) == len(self.recording) for c in columns if c is not None), "columns are of one length"

    @property
    def windows_per_run(self) -> Ints:
        """(R,) number of windows."""
        return np.ones(len(self.start), dtype=np.int64) if self.n_windows is None else self.n_windows

    def without_labels(self, labels: Sequence[str]) -> "Runs":
        """Leave out classes; ``n_windows_of_classes_left_out`` counts their windows."""
        assert self.label is not None, "classes are left out of windows that have one"
        kept = ~np.isin(self.label.astype(str), labels)
        columns = {name: getattr(self, name) for name in ("recording", "segment", "start", "label", *_PER_RUN)}
        chosen = {name: values[kept] for name, values in columns.items() if values is not None}
        n_left_out = int(self.windows_per_run[~kept].sum())
        return replace(self, **chosen, counted={**self.counted, "n_windows_of_classes_left_out": n_left_out})

    def counts(self, rate_hz: float) -> dict[str, float]:
        """Recordings, windows, samples and hours, each under its own name; overlapping windows count twice."""
        n_windows = int(self.windows_per_run.sum())
        return {
            "n_recordings": len(np.unique(self.recording)),
            "n_windows": n_windows,
            "n_samples": n_windows * self.n_samples,
            "hours": n_windows * self.n_samples / rate_hz / 3600,
            **self.counted,
        }

    def table(self, recordings: pd.DataFrame, cut: str) -> pd.DataFrame:
        """Rows with the columns of ``COLUMNS``, ordered by recording and start; empty runs are left out."""
        order = np.lexsort((self.start, self.recording))
        order = order[self.windows_per_run[order] > 0]

        def ordered(values: Any) -> Any:
            return None if values is None else values[order]

        table = recordings.loc[self.recording[order], ["recording_id", "corpus", "montage", "person"]]
        label, moment, targets = ordered(self.label), ordered(self.moment), ordered(self.targets)
        table = table.assign(
            cut=cut,
            segment=ordered(self.segment),
            start=ordered(self.start),
            n_samples=self.n_samples,
            stride=self.stride,
            n_windows=ordered(self.windows_per_run),
            moment=NO_MOMENT if moment is None else moment,
            label=None if label is None else pd.Series(label, index=table.index, dtype="str"),
            target=np.nan if self.target is None else ordered(self.target),
            targets=None if targets is None else pd.Series(list(targets), index=table.index, dtype="object"),
        )
        return table[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)


def expand(windows: pd.DataFrame) -> pd.DataFrame:
    """Expand runs to one row per window, in order."""
    n_windows = windows["n_windows"].to_numpy(np.int64)
    run = np.repeat(np.arange(len(windows)), n_windows)
    within = np.arange(n_windows.sum()) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    out = windows.iloc[run].reset_index(drop=True)
    has_moment = out["moment"].to_numpy() != NO_MOMENT
    return out.assign(
        start=out["start"].to_numpy() + within * out["stride"].to_numpy(np.int64),
        moment=np.where(has_moment, out["moment"].to_numpy() + within, NO_MOMENT).astype(np.int32),
        n_windows=np.ones(len(out), dtype=np.int32),
    )
