"""Outcome of a training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint


@dataclass(frozen=True)
class PretrainResult:
    """Outcome of a pretraining.

    Args:
        checkpoint: Encoder weights under ``encoder.``, the objective's under ``objective.``, and the header.
        metrics: Plain numbers, see ``fit_pretraining``.
        history: One row per logged step: step, loss, val_loss, lr, and the same per corpus.
        reconstructions: By corpus, arrays for a plot: see ``eegfm.objectives.base.Reconstruction``; with
            ``channel_names``, ``rate_hz`` and ``patch_samples``. Empty where the objective reconstructs nothing.
        run_directory: Folder of the logs of this run.
    """

    checkpoint: Checkpoint = field(repr=False)
    metrics: dict[str, float]
    history: pd.DataFrame = field(repr=False)
    reconstructions: dict[str, dict[str, Any]] = field(repr=False)
    run_directory: Path
