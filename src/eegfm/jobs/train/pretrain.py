"""Pretrain an encoder on a mixture. The job returns a checkpoint and its numbers."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from eegfm.checkpoint import Checkpoint
from eegfm.errors import TrainingError
from eegfm.files import DISK_FULL, naming, write_atomically
from eegfm.inference.backbone import Backbone, new_backbone
from eegfm.inference.channels_left import with_channels_left
from eegfm.inference.encoder_code import encoder_code
from eegfm.jobs.train.data import TrainingData, training_data
from eegfm.jobs.train.fingerprint import named, run_identity, signals_of
from eegfm.jobs.train.header import pretrain_header
from eegfm.nn.context import Context, Stage, objective_seed
from eegfm.nn.rereference import Rereference
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective, Reconstructs
from eegfm.splits.leakage import SplitTable
from eegfm.store.stores import Stores
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.config import PretrainParams
from eegfm.training.data_module import WindowData
from eegfm.training.loading.loader import gather, subsample_evenly
from eegfm.training.loading.residency import training_device
from eegfm.training.loading.verify import readable
from eegfm.training.module import PretrainModule
from eegfm.training.throughput import ThroughputMonitor
from eegfm.training.trainer import build_trainer, honest_end, validation_interval

_N_STATISTICS_STEPS = 16
_N_RECONSTRUCTED = 4
Refuse = Callable[[str, dict[str, Any]], None]
"""Function of a run's fingerprint and identity that raises an error if this run must not start."""


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
    run = _prepare(params, mixture, splits, stores)
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
    run = _prepare(params, mixture, splits, stores, refuse)
    module, data = run.module, run.data
    directory = run_directory / run.fingerprint
    _write_params(directory, params, run.identity)
    monitor = _train(module, data, directory)
    module = module.cpu().eval()
    return PretrainResult(
        checkpoint=module.checkpoint(),
        metrics=_metrics(module, monitor),
        history=module.history.table(),
        reconstructions=_reconstruct(module.objective, data, run.stores, params.seed),
        run_directory=directory,
    )


@dataclass(frozen=True)
class _Run:
    """A training that is about to begin."""

    module: PretrainModule
    data: TrainingData
    stores: Stores
    fingerprint: str
    identity: dict[str, Any]


def _prepare(
    params: PretrainParams, mixture: pd.DataFrame, splits: pd.DataFrame, stores: Stores, refuse: Refuse | None = None
) -> _Run:
    """Check who may be trained on, address the windows, build the model and fit its statistics."""
    split_table = SplitTable(splits)
    split_table.check_training(mixture)
    stores = readable(stores, params.loader.verify)
    mixture = with_channels_left(mixture, stores, lambda m: Rereference(m, params.reference, params.bad_channels))
    data = training_data(mixture, stores, params)
    identity = run_identity(params, data, signals_of(mixture, stores))
    fingerprint = named(identity)
    if refuse is not None:
        refuse(fingerprint, identity)
    code = encoder_code(params.encoder, params.adapter, params.chosen_normalization)  # now: later edits do not count
    backbone = new_backbone(
        params.encoder,
        params.adapter,
        data.spec,
        params.seed,
        reference=params.reference,
        bad_channels=params.bad_channels,
        normalization=params.chosen_normalization,
    )
    objective = _new_objective(params, backbone)
    first_steps = range(min(_N_STATISTICS_STEPS, data.n_steps))
    context = Context(n_steps=data.n_steps, seed=params.seed, corpora=tuple(sorted(data.weights)))
    objective.setup((batch for step in first_steps for batch in data.training.batches(step)), context)
    header = pretrain_header(
        objective, params, data, stores, backbone.encoder_spec, fingerprint, split_table, mixture, code
    )
    module = PretrainModule(objective, params, data.weights, data.n_steps, header)
    return _Run(module, data, stores, fingerprint, identity)


def _new_objective(params: PretrainParams, backbone: Backbone) -> Objective:
    """Build the objective; its initial weights follow from the seed, global random state stays."""
    objective = build_seeded(params.objective, objective_seed(params.seed), backbone)
    assert isinstance(objective, Objective), f"{params.objective.implementation} is no Objective"
    return objective


def _train(module: PretrainModule, data: TrainingData, directory: Path) -> ThroughputMonitor:
    """Train to the last step and validate after it.

    Raises:
        TrainingError: The loss is not finite, or training was stopped before its last step.
    """
    monitor = ThroughputMonitor()
    trainer = build_trainer(module.params, directory, data.n_steps, [monitor], validates=len(data.validation) > 0)
    with honest_end(), naming(directory, DISK_FULL):  # a thread writes the curves, and its errors name no file
        trainer.fit(module, datamodule=WindowData(data.training, data.validation))
    if trainer.global_step != data.n_steps:
        raise TrainingError(
            f"training stopped after {trainer.global_step} of {data.n_steps} steps; nothing is kept, start it again"
        )
    is_validated = data.n_steps % validation_interval(module.params, data.n_steps) == 0
    if len(data.validation) and not is_validated:
        trainer.validate(module, data.validation, verbose=False)
    return monitor


def _metrics(module: PretrainModule, monitor: ThroughputMonitor) -> dict[str, float]:
    history = module.history.table()
    trained = history[history["loss"].notna()]
    last = trained.tail(max(len(trained) // 10, 1))
    metrics = {f"train_{name}": float(last[name].mean()) for name in ("loss", "r2") if name in last}
    validated = history[history["val_loss"].notna()]
    if len(validated):
        names = [name for name in history.columns if name.startswith("val_")]
        metrics |= {name: float(validated[name].iloc[-1]) for name in names}
    backbone = module.objective.backbone
    metrics |= {
        "n_steps": module.n_steps,
        "n_windows": monitor.n_windows.total(),
        "n_parameters": sum(p.numel() for p in backbone.encoder.parameters()),
        "n_adapter_parameters": sum(p.numel() for p in backbone.adapter.parameters()),
        "windows_per_s": monitor.windows_per_s,
    }
    return metrics | {f"corpus_ratio_{corpus}": ratio for corpus, ratio in monitor.corpus_ratios().items()}


def _reconstruct(objective: Objective, data: TrainingData, stores: Stores, seed: int) -> dict[str, dict[str, Any]]:
    """Reconstruct a few windows of each corpus, spread over its persons, on the CPU."""
    shown: dict[str, dict[str, Any]] = {}
    if not isinstance(objective, Reconstructs):
        return shown
    encoder_spec = objective.backbone.encoder_spec
    context = Context(seed=seed, stage=Stage.RECONSTRUCTION, corpora=tuple(sorted(data.weights)))
    for corpus, groups in sorted(data.shown.items()):
        draw = subsample_evenly(groups[:1], _N_RECONSTRUCTED)[0]
        fields = objective.reconstruct(gather(draw, stores[corpus]), context)
        plain = {name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in fields.items()}
        shown[corpus] = {
            **plain,
            "channel_names": list(encoder_spec.montages[draw.group.montage].channel_names),
            "rate_hz": data.spec.rate_hz,
            "patch_samples": objective.encoder.patch_samples,
        }
    return shown


def _write_params(directory: Path, params: PretrainParams, identity: dict[str, Any]) -> None:
    """Write the parameters, and what the run is named by. ``eegfm.overwrite`` tells from that how two runs differ."""
    content = {"params": params.model_dump(mode="json"), "mixture_sha256": identity["mixture"], "identity": identity}
    write_atomically(directory / "params.json", (json.dumps(content, indent=2) + "\n").encode())
