"""Reconstruct a few windows with a trained objective."""

from typing import Any

import torch

from eegfm.batch import StoredBatch
from eegfm.jobs.train.data import TrainingData
from eegfm.objectives.base import Objective
from eegfm.store.stores import Stores
from eegfm.training.loading.gather import gather
from eegfm.training.loading.spread import subsample_evenly
from eegfm.training.logs.reconstructions import reconstructed

_N_RECONSTRUCTED = 4


def shown_windows(data: TrainingData, stores: Stores) -> dict[str, StoredBatch]:
    """Return a few windows of each corpus, spread over its persons: always the same."""
    draws = {corpus: subsample_evenly(groups[:1], _N_RECONSTRUCTED)[0] for corpus, groups in data.shown.items()}
    return {corpus: gather(draw, stores[corpus]) for corpus, draw in sorted(draws.items())}


def reconstruct(objective: Objective, data: TrainingData, stores: Stores, seed: int) -> dict[str, dict[str, Any]]:
    """Reconstruct a few windows of each corpus, spread over its persons, on the CPU."""
    return reconstructed(objective, shown_windows(data, stores), seed, torch.device("cpu"))
