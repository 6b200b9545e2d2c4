"""Logged values that are still on the device, so that no step waits for it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from eegfm.training.logs.averages import Averages

Reduce = Callable[[Tensor], Tensor]
"""Function of the values of this process that gives their means over all processes."""


class Entry(NamedTuple):
    """Values of one micro-batch; of the whole step where the corpus is empty."""

    step: int
    corpus: str
    n_windows: int
    values: dict[str, float]


class Pending:
    """Scalars in the order in which they came; one copy brings all that wait to the host."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, str, int, list[str], Tensor]] = []

    def add(self, step: int, corpus: str, n_windows: int, values: Mapping[str, Tensor]) -> None:
        """Remember detached scalars; nothing waits for the device."""
        if values:
            stacked = torch.stack([value.detach().float() for value in values.values()])
            self._waiting.append((step, corpus, n_windows, list(values), stacked))

    def take(self, reduce: Reduce | None = None) -> list[Entry]:
        """Bring all values to the host, and forget them. This waits for the device.

        Args:
            reduce: Called once with all values in a row; every process calls it with as many.
        """
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, []
        together = torch.cat([values for *_, values in waiting])
        numbers = iter((together if reduce is None else reduce(together)).tolist())
        return [
            Entry(step, corpus, n_windows, {name: next(numbers) for name in names})
            for step, corpus, n_windows, names, _ in waiting
        ]

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        return not self._waiting

    def averages(self) -> Averages:
        """Bring all values to the host, and forget them: their means by corpus. This waits for the device."""
        averages = Averages()
        for entry in self.take():
            averages.add(entry.corpus, entry.values, entry.n_windows)
        return averages
