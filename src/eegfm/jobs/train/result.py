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
        metrics: Plain numbers. ``train_loss`` and ``train_r2`` (mean over the last tenth of the history),
            ``val_loss``, ``val_baseline_loss``, ``val_r2`` and further ones of the objective (where there are
            validation windows) with one of each per corpus, ``best_val_loss`` and ``best_step``, ``n_steps``,
            ``published_step``, ``n_skipped_steps``, ``n_windows``, ``n_parameters``, ``n_adapter_parameters``,
            ``windows_per_s``, ``corpus_ratio_<corpus>`` as realised; with a start ``n_matched``, ``n_missing`` and
            ``n_unexpected`` weights, ``n_test_persons_of_start`` and ``n_validation_persons_of_start``; with auxiliary
            heads, scores on persons for validation, see ``eegfm.jobs.train.held_out.held_out_scores``.
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
