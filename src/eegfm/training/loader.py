"""From plans to batches: gather whole micro-batches from the stores, one thread ahead of training."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.batch import StoredBatch, WindowIndex
from eegfm.recording import Montage
from eegfm.training.plan import Draw, Groups, MixturePlan

_T = TypeVar("_T")
_POLL_S = 0.1


class SignalStoreLike(Protocol):
    """What training needs of a signal store."""

    @property
    def rate_hz(self) -> float:
        """Sampling rate of all signals."""
        ...

    @property
    def filters(self) -> dict[str, float | None]:
        """What every signal went through."""
        ...

    @property
    def is_simulated(self) -> bool:
        """Whether the recordings are simulated."""
        ...

    @property
    def montages(self) -> Mapping[str, Montage]:
        """Montages by name."""
        ...

    def locate(
        self, montage: str, recording_ids: Iterable[str], starts: NDArray[np.int64], n_samples: int, /
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First rows of windows, and rows of their recordings' scales."""
        ...

    def scales(self, montage: str, /) -> NDArray[np.float32]:
        """(R, C) microvolts per integer step."""
        ...

    def gather(self, montage: str, rows: NDArray[np.int64], n_samples: int, /) -> NDArray[np.int16]:
        """(B, T, C) samples of windows."""
        ...


Stores = Mapping[str, SignalStoreLike]
"""Stores by corpus."""


class TrainingLoader:
    """Steps of a plan as batches; each iteration starts anew with a thread of its own.

    Args:
        plan: Which windows each step takes.
        stores: Stores by corpus.
        n_steps: Steps in all.
        n_ahead: Steps that are gathered while earlier ones train.
    """

    def __init__(self, plan: MixturePlan, stores: Stores, n_steps: int, *, n_ahead: int = 4) -> None:
        self._plan = plan
        self._stores = stores
        self._steps = range(n_steps)
        self._n_ahead = n_ahead

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[StoredBatch]]:
        return prefetch(lambda: (self.batches(step) for step in self._steps), self._n_ahead)

    def batches(self, step: int) -> list[StoredBatch]:
        """Micro-batches of one step, gathered now."""
        return [gather(draw, self._stores[draw.group.corpus]) for draw in self._plan.step(step)]


class ValidationLoader:
    """Every chosen window once, always the same, in the same batches: one micro-batch per corpus at a time.

    Args:
        groups: Windows by corpus.
        stores: Stores by corpus.
        batch_counts: Windows per micro-batch, by corpus.
        n_windows: Largest number of windows per corpus; more are thinned evenly.
    """

    def __init__(self, groups: Groups, stores: Stores, batch_counts: Mapping[str, int], n_windows: int) -> None:
        self._stores = stores
        draws = {
            corpus: _consecutive(thinned(groups[corpus], n_windows), batch_counts[corpus]) for corpus in sorted(groups)
        }
        n_steps = max((len(d) for d in draws.values()), default=0)
        self._steps = [[d[k] for d in draws.values() if k < len(d)] for k in range(n_steps)]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[StoredBatch]]:
        for step in self._steps:
            yield [gather(draw, self._stores[draw.group.corpus]) for draw in step]


def gather(draw: Draw, store: SignalStoreLike) -> StoredBatch:
    """Read one micro-batch in one call."""
    group, positions = draw.group, draw.positions
    scale_rows = group.scale_rows[positions]
    return {
        "samples": torch.from_numpy(store.gather(group.montage, group.rows[positions], group.n_samples)),
        "scales_uv": torch.from_numpy(store.scales(group.montage)[scale_rows]),
        "recording": torch.from_numpy(scale_rows),
        "corpus": group.corpus,
        "montage": group.montage,
    }


def prefetch(start: Callable[[], Iterator[_T]], n_ahead: int) -> Iterator[_T]:
    """Run an iterator in a thread, at most ``n_ahead`` items in front.

    What the iterator raises is raised here. The thread ends when the items end, and when this generator is
    closed or dropped.
    """
    items: queue.Queue[tuple[_T, None] | tuple[None, BaseException] | None] = queue.Queue(n_ahead)
    stop = threading.Event()

    def put(item: tuple[_T, None] | tuple[None, BaseException] | None) -> None:
        while not stop.is_set():
            try:
                items.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in start():
                put((item, None))
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits, and raised there
            put((None, error))
        else:
            put(None)

    thread = threading.Thread(target=work, name="eegfm-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := items.get()) is not None:
            value, error = entry
            if error is not None:
                raise error
            yield value  # type: ignore[misc]  # a value comes without an error; tuples cannot say so
    finally:
        stop.set()
        thread.join()


def thinned(groups: Sequence[WindowIndex], n_windows: int) -> list[Draw]:
    """At most ``n_windows`` of all groups together, spread evenly over them in their order."""
    sizes = [len(group) for group in groups]
    n_total = sum(sizes)
    chosen = np.linspace(0, n_total - 1, min(n_windows, n_total)).round().astype(np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    parts = [chosen[(chosen >= a) & (chosen < b)] - a for a, b in zip(starts, ends, strict=True)]
    return [Draw(group, part) for group, part in zip(groups, parts, strict=True) if len(part)]


def _consecutive(draws: Sequence[Draw], count: int) -> list[Draw]:
    """Cut draws into micro-batches of at most ``count`` windows."""
    return [
        Draw(draw.group, draw.positions[k : k + count]) for draw in draws for k in range(0, len(draw.positions), count)
    ]
