"""Gather the micro-batches of a plan from the stores, in one thread that runs ahead of training."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.batch import Pairs, StoredBatch, TrainStep, WindowIndex
from eegfm.nn.device import sent
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores
from eegfm.training.loading.buffers import Buffers, PinnedBuffers, ReusedBuffers, pinned
from eegfm.training.loading.residency import DeviceSignals, gather_on_device
from eegfm.training.plans.plan import Draw, Groups, Plan

_T = TypeVar("_T")
_N_KEYS = 64
_BLOCK = 8
_CPU = torch.device("cpu")


class TrainingLoader:
    """Steps of a plan as batches; each iteration starts anew with threads of its own.

    One thread asks the system to read what coming steps need, another gathers the next steps. Neither changes what a
    batch holds.

    Args:
        plan: Plan with the windows of each step.
        stores: Stores by corpus.
        n_steps: Steps in all.
        first_step: Step to begin with, when those before are done.
        n_cuts: Cuts of every micro-batch; each is gathered on its own.
        n_ahead: Steps that are gathered while earlier ones train.
        read_ahead_steps: Steps whose samples are read while earlier ones are gathered; 0 leaves it to the gathering,
            which then waits.
        device: Device of the training. Batches for a CUDA device are gathered into pinned memory.
        device_signals: Signals that lie on the device already, from ``signals_on_device``.
        whole: Plan of the windows of all ranks together; None in one process.
    """

    def __init__(
        self,
        plan: Plan,
        stores: Stores,
        n_steps: int,
        *,
        first_step: int = 0,
        n_cuts: int = 1,
        n_ahead: int = 4,
        read_ahead_steps: int = 64,
        device: torch.device = _CPU,
        device_signals: DeviceSignals | None = None,
        whole: Plan | None = None,
    ) -> None:
        self._plan, self._whole = plan, whole or plan
        self._stores = stores
        self._steps = range(first_step, n_steps)
        self._n_cuts = n_cuts
        self._n_ahead = n_ahead
        self._read_ahead_steps = read_ahead_steps
        self._device = device
        self._device_signals = device_signals or {}

    def __len__(self) -> int:
        return len(self._steps)

    def from_step(self, first_step: int) -> "TrainingLoader":
        """Return the same steps without those before this one."""
        rest = copy(self)
        rest._steps = range(first_step, self._steps.stop)
        return rest

    def __iter__(self) -> Iterator[TrainStep]:
        return prefetch(self._gathered, self._n_ahead)

    def look(self) -> None:
        """Read what the plan has to know of samples; a plan of pairs may."""
        self._plan.look()

    def batches(self, step: int) -> list[StoredBatch]:
        """Return the micro-batches of one step, not cut, those of all ranks together, gathered now, on the CPU."""
        return [gather(draw, self._stores[draw.group.corpus]) for draw in self._whole.step(step)]

    def _gathered(self) -> Iterator[TrainStep]:
        use_one_thread()
        if self._device.type == "cuda" and self._device.index is not None:
            torch.cuda.set_device(self._device)  # of this thread
        buffers = PinnedBuffers() if self._device.type == "cuda" else ReusedBuffers(self._n_cuts * (self._n_ahead + 4))
        n_blocks = -(-self._read_ahead_steps // _BLOCK)
        for block in prefetch(self._asked, n_blocks) if n_blocks else [self._steps]:
            for step in block:
                yield TrainStep(step, self._gather(step, buffers), self._plan.n_windows_per_step, self._n_cuts)

    def _gather(self, step: int, buffers: Buffers) -> list[StoredBatch]:
        batches: list[StoredBatch] = []
        for draw in self._plan.step(step):
            corpus, montage = draw.group.corpus, draw.group.montage
            store, signals = self._stores[corpus], self._device_signals.get((corpus, montage))
            batches.extend(gather(part, store, buffers, signals) for part in draw.cuts(self._n_cuts))
        return [pinned(batch) for batch in batches] if self._device.type == "cuda" else batches

    def _asked(self) -> Iterator[range]:
        """Blocks of steps whose samples the system was asked to read.

        Where the first step of a block asks for nothing that is not in memory already, the others are not looked at.
        """
        asked: OrderedDict[tuple[str | int, ...], None] = OrderedDict()
        for first in range(0, len(self._steps), _BLOCK):
            block = self._steps[first : first + _BLOCK]
            for step in block:
                if not self._ask(step, asked) and step == block[0]:
                    break
            yield block

    def _ask(self, step: int, asked: OrderedDict[tuple[str | int, ...], None]) -> bool:
        """True if anything of a step had to be read; steps of one pool ask once."""
        is_read = False
        for extent in self._plan.extents(step):
            if extent.key in asked or (extent.corpus, extent.montage) in self._device_signals:
                continue
            asked[extent.key] = None
            if len(asked) > _N_KEYS:
                asked.popitem(last=False)
            store = self._stores[extent.corpus]
            is_read |= bool(store.read_ahead(extent.montage, extent.first_rows, extent.n_rows))
        return is_read


class ValidationLoader:
    """Every chosen window once, always the same, in the same batches: one micro-batch per corpus at a time.

    Several ranks take turns by micro-batch. A window is counted once, whatever the number of ranks. All ranks have
    equally many steps, because they meet after the last one: a rank that has no micro-batch left takes an empty step.

    Args:
        draws: Gives the micro-batches of each corpus, see ``spread_draws``, when they are asked for first: whoever
            finds them may read samples.
        stores: Stores by corpus.
        rank: Number of this process.
        world_size: Number of processes.
        measured: Micro-batches of each corpus that come behind the others, and whose features alone are measured.
    """

    def __init__(
        self,
        draws: Callable[[], Mapping[str, Sequence[Draw]]],
        stores: Stores,
        *,
        rank: int = 0,
        world_size: int = 1,
        measured: Mapping[str, Sequence[Draw]] | None = None,
    ) -> None:
        self._draws, self._measured, self._stores = draws, measured or {}, stores
        self._rank, self._world_size = rank, world_size

    def measuring(self, measured: Mapping[str, Sequence[Draw]]) -> "ValidationLoader":
        """The same micro-batches, and behind them these, whose features alone are measured."""
        place = {"rank": self._rank, "world_size": self._world_size}
        return ValidationLoader(self._draws, self._stores, measured=measured, **place)

    @cached_property
    def _steps(self) -> list[tuple[list[Draw], TrainStep]]:
        """What this rank draws in each step, and the step without it."""
        scored = _side_by_side(self._draws())
        steps = [(draws, TrainStep(k, [], 0)) for k, draws in enumerate(scored)]
        for k, draws in enumerate(_side_by_side(self._measured), len(scored)):
            steps.append((draws, TrainStep(k, [], 0, only_measured=True)))
        if self._world_size > 1:
            idle = TrainStep(len(steps), [], 0)
            steps = [([draw], step) for draws, step in steps for draw in draws]
            steps += [([], idle)] * (-len(steps) % self._world_size)
        return steps[self._rank :: self._world_size]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[TrainStep]:
        for draws, step in self._steps:
            batches = [gather(draw, self._stores[draw.group.corpus]) for draw in draws]
            yield step._replace(batches=batches, n_windows=sum(len(draw.positions) for draw in draws))


def _side_by_side(draws: Mapping[str, Sequence[Draw]]) -> list[list[Draw]]:
    """Steps of one micro-batch of each corpus that has one left, in the order of the corpora's names."""
    ordered = [draws[corpus] for corpus in sorted(draws)]
    n_steps = max(map(len, ordered), default=0)
    return [[of_corpus[k] for of_corpus in ordered if k < len(of_corpus)] for k in range(n_steps)]


def gather(
    draw: Draw, store: SignalStore, buffers: Buffers | None = None, signals: torch.Tensor | None = None
) -> StoredBatch:
    """Read one micro-batch in one call.

    Args:
        draw: The windows.
        store: Store of their corpus.
        buffers: Buffers for the batch; None for new memory.
        signals: Signals of their montage on the device; the samples of the batch are then there too.
    """
    group = draw.group
    run, nth = group.runs_of(draw.positions)
    rows, scale_rows = group.first_rows[run] + nth * group.stride, group.recordings[run].astype(np.int64)
    batch: StoredBatch = {
        "samples": _samples(group, rows, store, buffers) if signals is None else _resident(group, rows, signals),
        "scales_uv": torch.from_numpy(store.scales(group.montage)[scale_rows]),
        "recording": torch.from_numpy(scale_rows),
        "person": torch.from_numpy(group.persons[run].astype(np.int64)),
        "first_row": torch.from_numpy(rows),
        "corpus": group.corpus,
        "montage": group.montage,
    }
    is_bad = store.is_bad(group.montage)[scale_rows]
    if is_bad.any():
        batch["is_bad"] = is_bad
    if group.targets:
        batch["targets"] = {name: _target(values[run]) for name, values in group.targets.items()}
    if draw.likeness is not None:
        alike = draw.likeness
        block = None if alike.block is None else torch.from_numpy(alike.block)
        columns = torch.from_numpy(alike.group), torch.from_numpy(alike.place)
        batch["pairs"] = Pairs(*columns, alike.reach, block, alike.pairing)
    return batch


def _target(values: NDArray[Any]) -> torch.Tensor:
    """Numbers of classes as losses want them; floats as they are."""
    return torch.from_numpy(values if values.dtype == np.float32 else values.astype(np.int64))


def _samples(group: WindowIndex, rows: NDArray[np.int64], store: SignalStore, buffers: Buffers | None) -> torch.Tensor:
    if buffers is None:
        return torch.from_numpy(store.gather(group.montage, rows, group.n_samples))
    samples = buffers.take((len(rows), group.n_samples, store.montages[group.montage].n_channels))
    store.gather(group.montage, rows, group.n_samples, samples.numpy())
    return samples


def _resident(group: WindowIndex, rows: NDArray[np.int64], signals: torch.Tensor) -> torch.Tensor:
    return gather_on_device(signals, sent(torch.from_numpy(rows), signals.device), group.n_samples)


def use_one_thread() -> None:
    """Limit torch's operators to one core, in the calling thread only.

    Every thread that runs them gets a team of its own, and two teams on the same cores slow each other down.
    ``torch.set_num_threads`` sets the number for its own thread and for all that use torch later; a short-lived thread
    puts back the latter.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    other = threading.Thread(target=torch.set_num_threads, args=(n_threads,))
    other.start()
    other.join()


@dataclass(frozen=True)
class _Item(Generic[_T]):
    value: _T


@dataclass(frozen=True)
class _Failure:
    error: BaseException


def prefetch(start: Callable[[], Iterator[_T]], n_ahead: int) -> Iterator[_T]:
    """Run an iterator in a thread, at most ``n_ahead`` items in front.

    Errors of the iterator are raised here. The thread ends when the items end, and when this generator is
    closed or dropped.
    """
    items: queue.SimpleQueue[_Item[_T] | _Failure | None] = queue.SimpleQueue()
    slots: queue.SimpleQueue[None] = queue.SimpleQueue()
    stop = threading.Event()
    for _ in range(n_ahead):
        slots.put(None)

    def put(item: _Item[_T] | _Failure | None) -> None:
        slots.get()
        items.put(item)

    def work() -> None:
        try:
            for item in start():
                put(_Item(item))
                if stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits, and raised there
            put(_Failure(error))
        else:
            put(None)

    thread = threading.Thread(target=work, name="eegfm-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := items.get()) is not None:
            slots.put(None)
            if isinstance(entry, _Failure):
                raise entry.error
            yield entry.value
    finally:
        stop.set()
        slots.put(None)  # wakes the thread, which has at most one item in hand
        thread.join()


def spread_draws(groups: Groups, batch_counts: Mapping[str, int], n_windows: int) -> dict[str, list[Draw]]:
    """Return the micro-batches of at most ``n_windows`` windows of each corpus, spread evenly over them.

    Args:
        groups: Windows by corpus.
        batch_counts: Windows per micro-batch, by corpus.
        n_windows: Largest number of windows per corpus.
    """
    return {
        corpus: _consecutive(subsample_evenly(groups[corpus], n_windows), batch_counts[corpus]) for corpus in groups
    }


def subsample_evenly(groups: Sequence[WindowIndex], n_windows: int) -> list[Draw]:
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
