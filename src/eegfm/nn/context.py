"""Context of a training step: position of the training, and the only source of its random choices."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from torch import Generator, Tensor

from eegfm.batch import rank_slice

MASKS, VIEWS, AUGMENTATION, CODES, CROPS, DIRECTIONS, NEW_CODES = range(7)
"""Purposes of random numbers; what is drawn for one does not depend on what is drawn for another."""


class Stage(IntEnum):
    """The use of a micro-batch. Each draws numbers of its own, and a validation draws the same ones every time."""

    TRAINING = 1
    VALIDATION = 2
    RECONSTRUCTION = 3


_OBJECTIVE_WEIGHTS = 4
_DROPOUT = 5


@dataclass(frozen=True)
class Context:
    """The place of a micro-batch in a training; all random numbers follow from it.

    What is drawn with ``generator`` or ``window_draws`` is the same on every rank: ranks draw for the whole micro-batch
    of the step and take their own windows, so that all ranks together equal one process. Likewise the cuts of a
    micro-batch together equal the whole one. Only what draws without a generator (dropout, stochastic depth, jitter)
    differs between ranks and between cuts.

    Args:
        step: Number of the optimizer step, or of the validation batch.
        n_steps: Optimizer steps in all.
        seed: Of the run.
        rank: Number of this process.
        world_size: Number of processes.
        corpora: Names of all corpora of the run, sorted; a corpus is told apart by its place among them.
        stage: The use of the micro-batch.
        part: Number of the micro-batch among those of its corpus in the step.
        cut: Number of the cut of that micro-batch, where its gradient is accumulated in several.
        n_cuts: Cuts of every micro-batch.
    """

    step: int = 0
    n_steps: int = 1
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    corpora: tuple[str, ...] = ()
    stage: Stage = Stage.TRAINING
    part: int = 0
    cut: int = 0
    n_cuts: int = 1

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.world_size, "ranks are numbered from 0"
        assert 0 <= self.cut < self.n_cuts, "cuts are numbered from 0"

    def of(self, stage: Stage, step: int, rank: int = 0, world_size: int = 1) -> "Context":
        """Return the same training at another place."""
        return replace(self, stage=stage, step=step, rank=rank, world_size=world_size)

    def generator(self, purpose: int, corpus: str = "") -> Generator:
        """Random numbers of one purpose, step and corpus, for the whole micro-batch; ranks and cuts slice them.

        On the CPU, so that every device draws the same.
        """
        further = (purpose, self.part) if purpose or self.part else ()
        return Generator().manual_seed(_state_of(self.seed, self.stage, self.step, self._number(corpus), *further))

    def window_draws(self, purpose: int, corpus: str, n_windows: int) -> "WindowDraws":
        """Random numbers of the ``n_windows`` windows that this cut has of this rank's part of a micro-batch."""
        # Cut c of every C-th window from rank r's first on: the same as rank r + cR of CR.
        place, n_parts = self.rank + self.cut * self.world_size, self.n_cuts * self.world_size
        return WindowDraws(self.generator(purpose, corpus), n_windows, place, n_parts)

    @contextmanager
    def global_draws(self, device: torch.device, corpus: str = "") -> Iterator[None]:
        """Seed torch's global generators for one micro-batch of this rank, and put them back afterwards.

        Dropout, stochastic depth and jitter take no generator: they draw from the global one of the device that holds
        their input. Those of the CPU and of ``device`` are seeded.

        Args:
            device: The device that the draws are made on: the CPU, a CUDA device or an Apple GPU.
            corpus: Of the micro-batch.
        """
        further = (self.part, self.cut) if self.part or self.cut else ()
        state = _state_of(self.seed, _DROPOUT, self.step, self._number(corpus), self.rank, *further)
        # Only these two generators: torch.manual_seed would seed those of all devices, which nothing puts back.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.default_generator.manual_seed(state)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(state)
            with _mps_draws(state) if device.type == "mps" else nullcontext():
                yield

    def _number(self, corpus: str) -> int:
        assert not self.corpora or corpus in self.corpora, f"{corpus} is none of {self.corpora}"
        return self.corpora.index(corpus) if self.corpora else 0


class WindowDraws:
    """Random numbers of the windows of one micro-batch: drawn for all of them, cut to those of one part.

    Args:
        generator: Source of the numbers.
        n_windows: Windows that this part has, as many as every other.
        place: Number of this part; ranks and cuts are parts.
        n_parts: Number of parts.
    """

    def __init__(self, generator: Generator, n_windows: int, place: int = 0, n_parts: int = 1) -> None:
        self._generator, self.n_windows = generator, n_windows
        self._own, self._n_all = rank_slice(place, n_parts), n_parts * n_windows

    def uniform(self, n: int) -> Tensor:
        """(B, n) numbers in [0, 1), on the CPU; every call draws further ones."""
        return torch.rand(self._n_all, n, generator=self._generator)[self._own]

    def normal(self, n: int) -> Tensor:
        """(B, n) standard normal numbers, on the CPU; every call draws further ones."""
        return torch.randn(self._n_all, n, generator=self._generator)[self._own]

    def long_normal(self, n: int) -> Tensor:
        """(B, n) standard normal numbers for large ``n``: other numbers than ``normal`` gives.

        A seed is drawn for each window of the whole micro-batch, but numbers only for those of this part.
        """
        seeds = torch.randint(2**63 - 1, (self._n_all,), generator=self._generator)[self._own]
        return torch.stack([torch.randn(n, generator=Generator().manual_seed(seed)) for seed in seeds.tolist()])

    def shared_uniform(self, n: int) -> Tensor:
        """(n,) numbers in [0, 1), on the CPU, the same for all windows of the micro-batch."""
        return torch.rand(n, generator=self._generator)


@contextmanager
def _mps_draws(state: int) -> Iterator[None]:
    """Seed the generator of the Apple GPU, which ``fork_rng`` does not know, and put it back afterwards."""
    before = torch.mps.get_rng_state()
    torch.mps.manual_seed(state)
    try:
        yield
    finally:
        torch.mps.set_rng_state(before)


def objective_seed(seed: int) -> int:
    """Return the seed of the initial weights of an objective, in a run of this seed."""
    return _state_of(seed, _OBJECTIVE_WEIGHTS)


def heads_seed(seed: int) -> int:
    """Return the seed of the initial weights of auxiliary heads, beside an objective whose weights have this seed."""
    return _state_of(seed, _OBJECTIVE_WEIGHTS, 1)


def _state_of(seed: int, *purpose: int) -> int:
    """Hash of a seed and a purpose: numpy's ``SeedSequence``, which keeps neighbouring seeds unrelated."""
    state = int(np.random.SeedSequence([seed, *purpose]).generate_state(1, np.uint64)[0])
    # torch reads seeds beyond 63 bits as negative numbers on some devices.
    return state >> 1
