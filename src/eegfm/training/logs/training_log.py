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

    An epoch is a pass of the plan: the number of a step tells its epoch. The means of an epoch come with the first
    logged step that is not before its end. Micro-batches whose values are not finite do not count in them.

    Args:
        weights: Declared share of each corpus, for means over the mixture.
        n_steps: Optimizer steps in all.
        n_steps_per_epoch: Optimizer steps of a pass of the plan.
    """

    def __init__(self, weights: Mapping[str, float], n_steps: int, n_steps_per_epoch: int) -> None:
        self._weights, self._n_steps, self._n_steps_per_epoch = weights, n_steps, n_steps_per_epoch
        self._pending = Pending()
        self._epoch, self._of_epoch = 0, Averages()
        self.last_loss: float | None = None
        """Loss of the last logged step."""

    def add(self, step: int, corpus: str, n_windows: int, logs: Mapping[str, Tensor]) -> None:
        """Remember what the objective says of a micro-batch of a step, counted from 0."""
        self._pending.add(step, corpus, n_windows, logs)

    def add_gradient(self, step: int, norm: Tensor, of_corpora: Mapping[str, Tensor]) -> None:
        """Remember norms of the gradient: of the whole before it is clipped, and of what each corpus adds."""
        norms = {_GRADIENT_NORM: norm} | {f"{_OF_CORPUS}{corpus}": value for corpus, value in of_corpora.items()}
        self._pending.add(step, "", 0, norms)

    def take(self, n_done: int, reduce: Reduce | None = None) -> dict[str, float]:
        """Bring everything to the host. This waits for the device.

        Args:
            n_done: Steps that were taken; the last of them is the one that is logged.
            reduce: Gives means over processes.

        Returns:
            Named values of the last step, and of the epoch that ended last since the look before.
        """
        last, n_windows = Averages(), Counter[str]()
        norms: dict[str, float] = {}
        of_epoch: dict[str, float] = {}
        for entry in self._pending.take(reduce):
            is_last = entry.step + 1 == n_done
            if not entry.corpus:
                norms = entry.values if is_last else norms
                continue
            of_epoch |= self._count(entry)
            n_windows[entry.corpus] += entry.n_windows
            if is_last:
                last.add(entry.corpus, entry.values, entry.n_windows)
        if n_done == self._end_of_epoch():
            of_epoch |= self._end_epoch()
        elif n_done == self._n_steps:  # the last epoch, which may go on one day: nothing of it is forgotten
            of_epoch |= means(TRAIN, self._of_epoch, self._weights, of_epoch=True)
        values = means(TRAIN, last, self._weights) | _of_gradient(norms) | shares(n_windows, "mixture") | of_epoch
        self.last_loss = values.get(f"{TRAIN}/loss", self.last_loss)
        return values

    def share(self, reduce: Reduce) -> None:
        """Put means over processes in the place of values that wait: the state of one is then that of all."""
        self._pending.share(reduce)

    def state_dict(self) -> dict[str, Any]:
        """Values that wait, and the sums of the running epoch. Of several processes, ``share`` comes first."""
        of_epoch = self._of_epoch.state_dict()
        return {
            "pending": self._pending.state_dict(),
            "epoch": self._epoch,
            "of_epoch": of_epoch,
            "last_loss": self.last_loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another log was."""
        self._pending.load_state_dict(state["pending"])
        self._epoch, self.last_loss = int(state["epoch"]), state["last_loss"]
        self._of_epoch.load_state_dict(state["of_epoch"])

    def _count(self, entry: Entry) -> dict[str, float]:
        """Count a micro-batch in its epoch; the means of the epoch before, if it ends with that."""
        ended: dict[str, float] = {}
        if entry.step >= self._end_of_epoch():
            ended = self._end_epoch()
            self._epoch = entry.step // self._n_steps_per_epoch
        if all(map(math.isfinite, entry.values.values())):
            self._of_epoch.add(entry.corpus, entry.values, entry.n_windows)
        return ended

    def _end_of_epoch(self) -> int:
        return (self._epoch + 1) * self._n_steps_per_epoch

    def _end_epoch(self) -> dict[str, float]:
        ended = means(TRAIN, self._of_epoch, self._weights, of_epoch=True)
        self._epoch, self._of_epoch = self._epoch + 1, Averages()
        return ended


def means(stage: str, averages: Averages, weights: Mapping[str, float], *, of_epoch: bool = False) -> dict[str, float]:
    """Named means over the mixture and by corpus; nothing where nothing was counted."""
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
