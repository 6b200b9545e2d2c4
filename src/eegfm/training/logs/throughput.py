"""Measure the throughput of a training, and count its windows per corpus."""

import logging
import time
from collections import Counter
from typing import Any

from lightning import Callback, LightningModule, Trainer

from eegfm.batch import TrainStep

logger = logging.getLogger(__name__)


class ThroughputMonitor(Callback):
    """Count windows per corpus and the seconds between the first training batch and the last."""

    def __init__(self) -> None:
        self.n_windows: Counter[str] = Counter()
        self._n_timed_windows = 0
        self._training_s = 0.0
        self._started: float | None = None

    @property
    def windows_per_s(self) -> float:
        """Training speed without validation and without the first step, which warms caches."""
        return self._n_timed_windows / self._training_s if self._training_s > 0 else 0.0

    def corpus_ratios(self) -> dict[str, float]:
        """Return the share of each corpus in all windows that were trained on."""
        total = sum(self.n_windows.values())
        return {corpus: n / total for corpus, n in sorted(self.n_windows.items())}

    def state_dict(self) -> dict[str, Any]:
        """Counts and seconds so far."""
        counts = {"n_windows": dict(sorted(self.n_windows.items())), "n_timed_windows": self._n_timed_windows}
        return {**counts, "training_s": self._training_s}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting; the first step is not timed again, because it warms caches again."""
        self.n_windows = Counter(state["n_windows"])
        self._n_timed_windows, self._training_s = int(state["n_timed_windows"]), float(state["training_s"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count one step."""
        step: TrainStep = batch
        now = time.perf_counter()
        n_own = sum(len(micro["samples"]) for micro in step.batches)  # of this rank; all ranks have equally many
        sizes = [(micro["corpus"], len(micro["samples"]) * step.n_windows // n_own) for micro in step.batches]
        for corpus, size in sizes:
            self.n_windows[corpus] += size
        if self._started is not None:
            self._training_s += now - self._started
            self._n_timed_windows += sum(size for _, size in sizes)
        self._started = now

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which mixture it really was."""
        ratios = ", ".join(f"{corpus} {ratio:.4f}" for corpus, ratio in self.corpus_ratios().items())
        logger.info("Mixture as realised, as shares of %d windows: %s", self.n_windows.total(), ratios)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the validation out of the time."""
        if self._started is not None:
            self._started = time.perf_counter()
