"""Pretrain an encoder on a mixture. The job returns a checkpoint and its numbers."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.files import write_atomically
from eegfm.jobs.train.fit import fit, run_metrics
from eegfm.jobs.train.prepare import Refuse, prepare
from eegfm.jobs.train.reconstruct import reconstruct
from eegfm.store.stores import Stores
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.config import PretrainParams
from eegfm.training.data_module import WindowData
from eegfm.training.loading.residency import training_device
from eegfm.training.module import PretrainModule


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


def pretraining(
    params: PretrainParams, mixture: pd.DataFrame, splits: pd.DataFrame, stores: Stores
) -> tuple[PretrainModule, WindowData]:
    """Build the Lightning module of a pretraining and its data, for a trainer of the caller's own.

    ``lightning.Trainer(max_epochs=1).fit(module, datamodule=data)`` takes all steps: one Lightning epoch is the whole
    training. ``module.save_encoder`` writes the encoder.

    Args:
        params: All choices.
        mixture: Windows to draw from, see ``eegfm.mixture.table.mix_windows``.
        splits: Persons and their splits; the mixture is checked against it, and the header says who was trained on.
        stores: Signal stores by corpus.

    Raises:
        ConfigError: Parameters and data do not fit.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: The mixture draws from a person who is kept out of training, or validates on one it trains on.
    """
    run = prepare(params, mixture, splits, stores)
    return run.module, WindowData(run.data.training, run.data.validation)


def fit_pretraining(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    run_directory: Path,
    *,
    splits: pd.DataFrame,
    refuse: Refuse = lambda fingerprint, identity: None,
) -> PretrainResult:
    """Pretrain an encoder on a mixture.

    Args:
        mixture: Windows to draw from, see ``eegfm.mixture.table.mix_windows``.
        stores: Signal stores by corpus.
        params: All choices.
        run_directory: Runs lie here side by side, each in a folder named by a fingerprint of its parameters,
            its mixture, the samples and filters of its signals, and its code.
        splits: Persons and their splits; the mixture is checked against it, and the header says who was trained on.
        refuse: Is called as soon as the run has its name, before the model is built.

    Returns:
        The result. Metrics: ``train_loss`` and ``train_r2`` (mean over the last tenth of the history),
        ``val_loss`` and ``val_r2`` (where there are validation windows) with one of each per corpus,
        ``n_steps``, ``n_windows``, ``n_parameters``, ``n_adapter_parameters``, ``windows_per_s``,
        ``corpus_ratio_<corpus>`` as realised.

    Raises:
        ConfigError: Parameters and data do not fit.
        TrainingError: The loss is not finite, the run was stopped early, or the CPU computes wrong in bfloat16.
        StoreError: A recording of the mixture is not in its store, or its samples differ from their checksums.
        SplitError: The mixture draws from a person who is kept out of training, or validates on one it trains on.
    """
    if params.precision == "bf16-mixed":
        check_bfloat16(training_device(params.accelerator))
    run = prepare(params, mixture, splits, stores, refuse)
    module, data = run.module, run.data
    directory = run_directory / run.fingerprint
    _write_params(directory, params, run.identity)
    monitor = fit(module, data, directory)
    module = module.cpu().eval()
    return PretrainResult(
        checkpoint=module.checkpoint(),
        metrics=run_metrics(module, monitor),
        history=module.history.table(),
        reconstructions=reconstruct(module.objective, data, run.stores, params.seed),
        run_directory=directory,
    )


def _write_params(directory: Path, params: PretrainParams, identity: dict[str, Any]) -> None:
    """Write the parameters, and what the run is named by. ``eegfm.overwrite`` tells from that how two runs differ."""
    content = {"params": params.model_dump(mode="json"), "mixture_sha256": identity["mixture"], "identity": identity}
    write_atomically(directory / "params.json", (json.dumps(content, indent=2) + "\n").encode())
