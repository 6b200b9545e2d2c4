"""Micro-batches of the steps of a training, gathered in one thread that runs ahead of it."""

from collections import OrderedDict
from collections.abc import Iterator
from copy import copy

import torch

from eegfm.batch import StoredBatch, TrainStep
from eegfm.store.stores import Stores
from eegfm.training.loading.buffers import Buffers, PinnedBuffers, ReusedBuffers, pinned
from eegfm.training.loading.gather import gather
from eegfm.training.loading.prefetch import prefetch, use_one_thread
from eegfm.training.loading.residency import DeviceSignals
from eegfm.training.plans.plan import Plan

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
