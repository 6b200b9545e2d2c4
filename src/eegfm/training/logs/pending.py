"""Logged values that are still on the device, so that no step waits for it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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
        device = waiting[-1][-1].device  # values of a state that was loaded are on the CPU
        together = torch.cat([values.to(device) for *_, values in waiting])
        numbers = iter((together if reduce is None else reduce(together)).tolist())
        return [
            Entry(step, corpus, n_windows, {name: next(numbers) for name in names})
            for step, corpus, n_windows, names, _ in waiting
        ]

    def share(self, reduce: Reduce) -> None:
        """Put means over all processes in the place of the values that wait; nothing waits for the device.

        Args:
            reduce: Called once with all values in a row; every process calls it with as many.
        """
        if self._waiting:
            device = self._waiting[-1][-1].device
            shared = reduce(torch.cat([values.to(device) for *_, values in self._waiting]))
            parts = iter(torch.split(shared, [len(entry[3]) for entry in self._waiting]))
            self._waiting = [(*entry[:4], next(parts)) for entry in self._waiting]

    def averages(self) -> Averages:
        """Bring all values to the host, and forget them: their means by corpus. This waits for the device."""
        averages = Averages()
        for entry in self.take():
            averages.add(entry.corpus, entry.values, entry.n_windows)
        return averages

    def state_dict(self) -> dict[str, Any]:
        """The values that wait, on the CPU, and whose they are."""
        fields = ("step", "corpus", "n_windows", "names", "values")
        return {"waiting": [dict(zip(fields, [*rest, values.cpu()], strict=True)) for *rest, values in self._waiting]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the values of others wait."""
        self._waiting = [
            (
                int(of["step"]),
                str(of["corpus"]),
                int(of["n_windows"]),
                [str(name) for name in of["names"]],
                of["values"],
            )
            for of in state["waiting"]
        ]
