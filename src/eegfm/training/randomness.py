"""Randomness whose state follows from what it is for, never from what ran before."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

TRAINING_MASKS = 1
VALIDATION_MASKS = 2
RECONSTRUCTION_MASKS = 3
OBJECTIVE_WEIGHTS = 4
DROPOUT = 5


def generator_for(seed: int, *purpose: int) -> torch.Generator:
    """CPU generator seeded by a hash of the seed and what it is for, e.g. (use, step, corpus index).

    On the CPU so that every device draws the same masks.
    """
    return torch.Generator().manual_seed(_state_of(seed, *purpose))


@contextmanager
def global_draws_for(device: torch.device, seed: int, *purpose: int) -> Iterator[None]:
    """Seed torch's global generators by a hash of the seed and what they are for, and put them back afterwards.

    Dropout, stochastic depth and jitter take no generator: they draw from the global one of the device that holds
    their input. Those of the CPU and of ``device`` are seeded.

    Args:
        device: Where the draws are made: the CPU or a CUDA device.
        seed: Of the run.
        purpose: What the draws are for, e.g. (use, step, corpus index, rank).
    """
    state = _state_of(seed, *purpose)
    # Only these two generators: torch.manual_seed would seed those of all devices, which nothing puts back.
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(state)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(state)
        yield


def _state_of(seed: int, *purpose: int) -> int:
    """Hash of a seed and a purpose: numpy's ``SeedSequence``, which keeps neighbouring seeds unrelated."""
    state = int(np.random.SeedSequence([seed, *purpose]).generate_state(1, np.uint64)[0])
    # torch reads seeds beyond 63 bits as negative numbers on some devices.
    return state >> 1
