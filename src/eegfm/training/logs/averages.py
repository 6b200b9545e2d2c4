"""Means of logged values: over windows, over the mixture, and against a baseline."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

_KNOWN, _OF_KNOWN = "known", ("loss", "mae", "accuracy")


class Averages:
    """Means of scalars, weighted by the number of windows they come from.

    A batch may lack a value, such as that of another pairing: the mean is over the windows of the batches that have it.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], tuple[float, int]] = {}

    def add(self, corpus: str, values: Mapping[str, float], n_windows: int) -> None:
        """Count the means of one batch."""
        for name, value in values.items():
            self._add(corpus, name, value * n_windows, n_windows)

    def by_corpus(self) -> dict[str, dict[str, float]]:
        """Means by corpus and name."""
        means: dict[str, dict[str, float]] = {}
        for (corpus, name), (total, n_windows) in self._sums.items():
            means.setdefault(corpus, {})[name] = total / n_windows
        return means

    def _add(self, corpus: str, name: str, value: float, n_windows: int) -> None:
        total, n_before = self._sums.get((corpus, name), (0.0, 0))
        self._sums[corpus, name] = total + value, n_before + n_windows

    @classmethod
    def merged(cls, states: Iterable[Mapping[str, Any]]) -> "Averages":
        """Put together what several processes have counted, see ``state_dict``."""
        whole = cls()
        for state in states:
            for corpus, name, total, n_windows in state["sums"]:
                whole._add(corpus, name, total, n_windows)
        return whole

    def state_dict(self) -> dict[str, Any]:
        """Sums and numbers of windows."""
        return {"sums": [[corpus, name, total, n] for (corpus, name), (total, n) in self._sums.items()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the sums of others."""
        self._sums = {(str(corpus), str(name)): (float(total), int(n)) for corpus, name, total, n in state["sums"]}


def mixed(by_corpus: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> dict[str, float]:
    """Weighted means over corpora, with weights renormalized over those that have the value."""
    found: dict[str, float] = {}
    for name in sorted({name for values in by_corpus.values() for name in values}):
        having = {corpus: values[name] for corpus, values in by_corpus.items() if name in values}
        found[name] = sum(weights[c] * value for c, value in having.items()) / sum(weights[c] for c in having)
    return found


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
