"""Means of logged values: over windows, over the mixture, and against a baseline."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

_KNOWN, _OF_KNOWN = "known", ("loss", "mae", "accuracy")


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

    @classmethod
    def merged(cls, states: Iterable[Mapping[str, Any]]) -> "Averages":
        """Put together what several processes have counted, see ``state_dict``."""
        whole = cls()
        for state in states:
            for corpus, n_windows in state["n_windows"].items():
                whole._n_windows[corpus] = whole._n_windows.get(corpus, 0) + n_windows
            for corpus, name, total in state["sums"]:
                whole._sums[corpus, name] = whole._sums.get((corpus, name), 0.0) + total
        return whole

    def state_dict(self) -> dict[str, Any]:
        """Sums and numbers of windows."""
        sums = [[corpus, name, value] for (corpus, name), value in self._sums.items()]
        return {"sums": sums, "n_windows": dict(self._n_windows)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the sums of others."""
        self._sums = {(str(corpus), str(name)): float(value) for corpus, name, value in state["sums"]}
        self._n_windows = {str(corpus): int(n) for corpus, n in state["n_windows"].items()}


def mixed(by_corpus: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> dict[str, float]:
    """Weighted means over corpora, with weights renormalized over the present corpora."""
    total = sum(weights[corpus] for corpus in by_corpus)
    names = sorted({name for values in by_corpus.values() for name in values})
    return {name: sum(weights[corpus] * values[name] for corpus, values in by_corpus.items()) / total for name in names}


def with_r2(values: Mapping[str, float]) -> dict[str, float]:
    """Add the share of the baseline's loss that is explained: 1 is perfect, 0 is no better.

    From mean losses, not as a mean of shares: a batch of little variance would count as much as any other.
    """
    if "baseline_loss" not in values:
        return dict(values)
    loss = values.get("own_loss", values["loss"])  # without that of auxiliary heads
    return {**values, "r2": 1 - loss / max(values["baseline_loss"], sys.float_info.min)}


def of_known(values: Mapping[str, float]) -> dict[str, float]:
    """Turn means over all windows into means over those whose label is known, head by head.

    ``<head>_loss``, ``<head>_mae`` and ``<head>_accuracy`` are divided by ``<head>_known``, and left out where it is
    zero. This comes after all averaging: a mean of shares would count a batch with one known label like any other.
    """
    found = dict(values)
    for name in values:
        head, _, what = name.rpartition("_")
        if what in _OF_KNOWN and f"{head}_{_KNOWN}" in values:
            share = values[f"{head}_{_KNOWN}"]
            if share > 0:
                found[name] = values[name] / share
            else:
                del found[name]
    return found
