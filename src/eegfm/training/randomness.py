"""Generators whose state follows from what they are for, never from what ran before."""

import numpy as np
import torch

TRAINING_MASKS = 1
VALIDATION_MASKS = 2
RECONSTRUCTION_MASKS = 3
OBJECTIVE_WEIGHTS = 4


def generator_for(seed: int, *purpose: int) -> torch.Generator:
    """CPU generator seeded by a hash of the seed and what it is for, e.g. (use, step, corpus index).

    On the CPU so that every device draws the same masks. The hash is numpy's ``SeedSequence``, which keeps
    neighbouring seeds unrelated.
    """
    state = int(np.random.SeedSequence([seed, *purpose]).generate_state(1, np.uint64)[0])
    # torch reads seeds beyond 63 bits as negative numbers on some devices.
    return torch.Generator().manual_seed(state >> 1)
