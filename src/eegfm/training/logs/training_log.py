"""Log of a training: what its steps give, brought together at the logged steps."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from eegfm.training.logs.averages import Averages, mixed, of_known, with_r2
from eegfm.training.logs.names import TRAIN, named, shares
from eegfm.training.logs.pending import Entry, Pending, Reduce

_GRADIENT_NORM = "gradient_norm"
_OF_CORPUS = "gradient_norm/"


class TrainingLog:
    """Collect values of every step without waiting for the device, and name them at the logged steps.

    An epoch is a pass of the plan: the number of a step tells its epoch. The means of an epoch belong to its last step
    and are known with the first look behind it. Micro-batches whose values are not finite do not count in them.

    A state holds no values that wait: ``look`` comes before every save, so that what the log knew of the steps before
    is written before.

    Args:
        weights: Declared share of each corpus, for means over the mixture.
        n_steps: Optimizer steps in all.
        n_steps_per_epoch: Optimizer steps of a pass of the plan.
    """

    def __init__(self, weights: Mapping[str, float], n_steps: int, n_steps_per_epoch: int) -> None:
        self._weights, self._n_steps, self._n_steps_per_epoch = weights, n_steps, n_steps_per_epoch
        self._pending = Pending()
        self._epoch, self._of_epoch = 0, Averages()
        self._n_windows = Counter[str]()
        self.last_loss: float | None = None
        """Loss of the last logged step."""

    def add(self, step: int, corpus: str, n_windows: int, logs: Mapping[str, Tensor]) -> None:
        """Remember what the objective says of a micro-batch of a step, counted from 0."""
        self._pending.add(step, corpus, n_windows, logs)

    def add_gradient(self, step: int, norm: Tensor, of_corpora: Mapping[str, Tensor]) -> None:
        """Remember norms of the gradient: of the whole before it is clipped, and of what each corpus adds."""
        norms = {_GRADIENT_NORM: norm} | {f"{_OF_CORPUS}{corpus}": value for corpus, value in of_corpora.items()}
        self._pending.add(step, "", 0, norms)

    def take(self, n_done: int, reduce: Reduce | None = None) -> dict[int, dict[str, float]]:
        """Bring everything to the host. This waits for the device.

        Args:
            n_done: Steps that were taken; the last of them is the one that is logged.
            reduce: Gives means over processes.

        Returns:
            Named values by number of steps taken, in ascending order: those of epochs that ended since the look before,
            and those of the last step.
        """
        entries, found = self._look(reduce)
        last, norms = Averages(), dict[str, float]()
        for entry in (entry for entry in entries if entry.step + 1 == n_done):
            if entry.corpus:
                last.add(entry.corpus, entry.values, entry.n_windows)
            else:
                norms = entry.values
        values = means(TRAIN, last, self._weights) | _of_gradient(norms) | shares(self._n_windows, "mixture")
        self._n_windows = Counter()
        of_epoch = found.pop(n_done, {})
        if not of_epoch and n_done == self._n_steps:  # may go on one day: nothing of the epoch is forgotten
            of_epoch = means(TRAIN, self._of_epoch, self._weights, of_epoch=True)
        self.last_loss = values.get(f"{TRAIN}/loss", self.last_loss)
        return {**found, n_done: values | of_epoch}

    def look(self, reduce: Reduce | None = None) -> dict[int, dict[str, float]]:
        """Bring what waits to the host, between two logged steps. This waits for the device.

        Args:
            reduce: Gives means over processes: the state of one is then that of all.

        Returns:
            Named means of the epochs that ended since the look before, by number of steps taken.
        """
        return self._look(reduce)[1]

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of the running epoch, and what was counted since the last logged step."""
        assert self._pending.is_empty, "a look comes before a save"
        return {
            "epoch": self._epoch,
            "of_epoch": self._of_epoch.state_dict(),
            "n_windows": dict(self._n_windows),
            "last_loss": self.last_loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another log was."""
        self._epoch, self.last_loss = int(state["epoch"]), state["last_loss"]
        self._of_epoch.load_state_dict(state["of_epoch"])
        self._n_windows = Counter({str(corpus): int(n) for corpus, n in state["n_windows"].items()})

    def _look(self, reduce: Reduce | None) -> tuple[list[Entry], dict[int, dict[str, float]]]:
        """All that waited, and the means of epochs that ended meanwhile."""
        entries, ended = self._pending.take(reduce), dict[int, dict[str, float]]()
        for entry in entries:
            self._end_epoch_before(entry.step, ended)
            if entry.corpus:
                self._n_windows[entry.corpus] += entry.n_windows
                if all(map(math.isfinite, entry.values.values())):
                    self._of_epoch.add(entry.corpus, entry.values, entry.n_windows)
        if entries:
            self._end_epoch_before(entries[-1].step + 1, ended)
        return entries, ended

    def _end_epoch_before(self, step: int, ended: dict[int, dict[str, float]]) -> None:
        """Note the means of the running epoch if this step, counted from 0, is not in it."""
        epoch = step // self._n_steps_per_epoch
        if epoch != self._epoch:
            if values := means(TRAIN, self._of_epoch, self._weights, of_epoch=True):
                ended[(self._epoch + 1) * self._n_steps_per_epoch] = values
            self._epoch, self._of_epoch = epoch, Averages()


def means(stage: str, averages: Averages, weights: Mapping[str, float], *, of_epoch: bool = False) -> dict[str, float]:
    """Return the named means over the mixture and by corpus; nothing where nothing was counted."""
    by_corpus = averages.by_corpus()
    if not by_corpus:
        return {}
    overall = with_r2(of_known(mixed(by_corpus, weights)))
    of_corpora = {c: with_r2(of_known(values)) for c, values in by_corpus.items()}
    return named(stage, overall, of_corpora, of_epoch=of_epoch)


def _of_gradient(norms: Mapping[str, float]) -> dict[str, float]:
    found = {f"{TRAIN}/{_GRADIENT_NORM}": norms[_GRADIENT_NORM]} if norms else {}
    of_corpora = {name.removeprefix(_OF_CORPUS): value for name, value in norms.items() if name.startswith(_OF_CORPUS)}
    return found | shares(of_corpora, "gradient_share")
