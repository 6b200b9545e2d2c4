"""History of a training: one row per logged step."""

import sys
from collections.abc import Mapping

import pandas as pd


class History:
    """Values by step, as they come in, and as one table."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, float]] = {}

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Add values to the row of a step, counted in finished optimizer steps."""
        self._rows.setdefault(step, {}).update(values)

    def table(self) -> pd.DataFrame:
        """Columns step, loss, val_loss, lr and whatever else was recorded; NaN where a step lacks a value."""
        rows = [{"step": step, **values} for step, values in sorted(self._rows.items())]
        first = ["step", "loss", "val_loss", "lr"]
        others = sorted({name for row in rows for name in row} - set(first))
        table = pd.DataFrame(rows, columns=[*first, *others])
        return table.astype(dict.fromkeys([*first[1:], *others], "float64"))


class Averages:
    """Means of scalars, weighted by the number of windows they come from."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], float] = {}
        self._n_windows: dict[str, int] = {}

    def add(self, corpus: str, values: Mapping[str, float], n_windows: int) -> None:
        """Count the means of one batch."""
        self._n_windows[corpus] = self._n_windows.get(corpus, 0) + n_windows
        for name, value in values.items():
            self._sums[corpus, name] = self._sums.get((corpus, name), 0.0) + value * n_windows

    def by_corpus(self) -> dict[str, dict[str, float]]:
        """Means by corpus and name."""
        means: dict[str, dict[str, float]] = {corpus: {} for corpus in self._n_windows}
        for (corpus, name), total in self._sums.items():
            means[corpus][name] = total / self._n_windows[corpus]
        return means


def mixed(by_corpus: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> dict[str, float]:
    """Weighted means over corpora, with weights renormalized over the present corpora."""
    total = sum(weights[corpus] for corpus in by_corpus)
    names = sorted({name for values in by_corpus.values() for name in values})
    return {name: sum(weights[corpus] * values[name] for corpus, values in by_corpus.items()) / total for name in names}


def with_r2(values: Mapping[str, float]) -> dict[str, float]:
    """Put the share of the baseline's loss that is explained in its place: 1 is perfect, 0 is no better.

    From mean losses, not as a mean of shares: a batch of little variance would count as much as any other.
    """
    rest = {name: value for name, value in values.items() if name != "baseline_loss"}
    if "baseline_loss" not in values:
        return rest
    return {**rest, "r2": 1 - values["loss"] / max(values["baseline_loss"], sys.float_info.min)}
