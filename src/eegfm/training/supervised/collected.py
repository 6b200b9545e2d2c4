"""Collect what a model said of windows, and the true answers, until metrics are computed of all of them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eegfm.metrics.supervised import SupervisedMetrics
from eegfm.targets import TargetSpec


class Collected:
    """Probabilities and truths of an epoch, on the device, so that no step waits for it.

    Metrics are of all windows at once, never means over batches.

    Args:
        target: What is asked.
    """

    def __init__(self, target: TargetSpec) -> None:
        self._target = target
        self._parts: list[tuple[Tensor, Tensor]] = []

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is kept."""
        return not self._parts

    def forget(self) -> None:
        """Begin anew."""
        self._parts = []

    def add(self, said: Tensor, truths: Tensor) -> None:
        """Keep what was said of the windows of a batch."""
        self._parts.append((said.detach().float(), truths.detach()))

    def take(self, device: torch.device) -> dict[str, float]:
        """Return the metrics of all windows of all ranks by name, and forget them. This waits for the device.

        Args:
            device: Where the windows are: ranks gather there, also one that had no window.
        """
        parts, self._parts = self._parts, []
        metrics = SupervisedMetrics(self._target).to(device)
        for said, truths in parts:
            metrics.update(said.to(device), truths.to(device))
        return metrics.compute()

    def state_dict(self) -> dict[str, Any]:
        """Return all that is kept."""
        if not self._parts:
            return {}
        said, truths = zip(*self._parts, strict=True)
        return {"said": torch.cat(said), "truths": torch.cat(truths)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with this."""
        self._parts = [(state["said"], state["truths"])] if state else []
