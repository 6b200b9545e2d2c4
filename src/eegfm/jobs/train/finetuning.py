"""Finetune an encoder on the answers of windows: parameters, data and module of one supervised training."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import Buildable, first_problem
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.monitor import with_defined_monitor
from eegfm.jobs.train.prepare import prepare
from eegfm.jobs.train.pretrain import fit_training
from eegfm.jobs.train.result import PretrainResult
from eegfm.losses.class_weights import class_weights
from eegfm.metrics.names import higher_is_better
from eegfm.objectives.supervised.config import LoraConfig, SupervisedConfig, Target
from eegfm.splits.leakage import TRAINED
from eegfm.store.stores import Stores
from eegfm.targets import TargetSpec
from eegfm.training.data_module import WindowData
from eegfm.training.plans.group_order import DrawnBy
from eegfm.training.started import OF_THE_START, decided_by
from eegfm.training.strategies.config import LayerDecayStrategy, LoraStrategy, ScratchStrategy
from eegfm.training.supervised.config import SupervisedParams, TuningParams
from eegfm.training.supervised.module import SupervisedModule
from eegfm.windows.answers import answer_counts, checked_answers

logger = logging.getLogger(__name__)

_ALL_WINDOWS = 10**9
_SAME = (
    *("schedule", "batch_size", "accumulate", "n_epochs", "patience", "gradient_clip", "weight_average", "loader"),
    *("accelerator", "devices", "precision", "compile", "deterministic", "progress_bar", "checkpoint", "resume"),
    "license",
)
"""Choices of a user that are those of the training."""


@dataclass(frozen=True)
class FinetuningTask:
    """Windows of one cut with answers, and who may be trained on.

    Args:
        name: Name for messages and headers.
        target: What is asked.
        windows: Runs of windows of one cut, see ``eegfm.windows.runs``.
        splits: Persons: ``train`` is trained on, ``validation`` selects, nobody else is looked at.
        stores: Signal stores by corpus.
    """

    name: str
    target: TargetSpec
    windows: pd.DataFrame
    splits: pd.DataFrame
    stores: Stores


def finetuning(
    params: TuningParams,
    task: FinetuningTask,
    *,
    start: Checkpoint,
    seed: int = 0,
    phase: str = "finetune",
) -> tuple[SupervisedModule, WindowData]:
    """Build the Lightning module of a finetuning and its data, for a trainer of the caller's own.

    ``lightning.Trainer(max_epochs=1).fit(module, datamodule=data)`` takes all steps: one Lightning epoch is the whole
    training. ``module.save_encoder`` writes encoder and head.

    ``patience`` and ``monitor`` do nothing in such a trainer: it validates when its own ``val_check_interval`` says so,
    takes all ``n_epochs``, and the module has the last weights, not those of the best validation. ``fit_finetuning``
    ends early and returns the best.

    Args:
        params: All choices.
        task: What is asked, of which windows.
        start: Encoder to start from. With strategy ``scratch`` it gives its configuration alone: encoder, adapter,
            normalization and reference are never a silent default.
        seed: Seed of the head, the order of windows and dropout.
        phase: Name for messages.

    Raises:
        EegfmError: Parameters, data and start do not fit; see ``eegfm.jobs.train.pretrain.pretraining``.
    """
    job = finetuning_job(params, task, start, seed=seed, phase=phase)
    run = prepare(job)
    assert isinstance(run.module, SupervisedModule), "supervised parameters give a supervised module"
    return run.module, WindowData(run.data.training, run.data.validation)


def fit_finetuning(
    params: TuningParams,
    task: FinetuningTask,
    runs: Path,
    *,
    start: Checkpoint,
    seed: int = 0,
    phase: str = "finetune",
) -> PretrainResult:
    """Finetune on all devices that the parameters ask for; a finished run is not trained again.

    Args:
        params: See ``finetuning``.
        task: See there.
        runs: Runs lie here side by side, each in a folder named by its fingerprint.
        start: See ``finetuning``.
        seed: See there.
        phase: See there.

    Raises:
        EegfmError: See ``eegfm.jobs.train.pretrain.fit_pretraining``.
    """
    return fit_training(finetuning_job(params, task, start, seed=seed, phase=phase), runs)


def finetuning_job(
    params: TuningParams, task: FinetuningTask, start: Checkpoint, *, seed: int, phase: str = "finetune"
) -> TrainingJob:
    """Put the training together that finetuning is."""
    mixture = training_rows(task, params.drawn_by)
    is_scratch = isinstance(params.strategy, ScratchStrategy)
    objective = objective_of(params, task, mixture, standardizes=not is_scratch)
    given = of_header(start.header) if is_scratch else {}
    n_windows = {split: _n_windows(mixture, split) for split in TRAINED}
    supervised = supervised_params(params, objective, given, n_windows=n_windows["train"], seed=seed)
    supervised = with_defined_monitor(supervised, mixture, task.target, task.name, is_chosen=params.monitor is not None)
    if not n_windows["validation"]:
        logger.warning("%s: nobody to validate on; all epochs are trained, and the last weights are kept", phase)
        supervised = supervised.model_copy(update={"publish": "last", "patience": None})
    return TrainingJob(supervised, mixture, task.splits, task.stores, phase, None if is_scratch else start)


def supervised_params(
    params: TuningParams, objective: SupervisedConfig, of_encoder: dict[str, Any], *, n_windows: int, seed: int
) -> SupervisedParams:
    """Complete the choices of a user by what follows from them and from the data.

    Args:
        params: The choices.
        objective: What is asked.
        of_encoder: Configurations of encoder, adapter and so on where no start decides them.
        n_windows: Windows to train on.
        seed: Seed of the run.

    Raises:
        ConfigError: Choices do not fit each other, such as a batch that the devices cannot share evenly.
    """
    target, strategy = objective.target.spec, params.strategy
    optimizer = params.optimizer
    if isinstance(strategy, LayerDecayStrategy):
        optimizer = optimizer.model_copy(update={"layer_decay": strategy.factor})
    monitor = params.monitored(target)
    n_steps_per_epoch = math.ceil(n_windows / params.batch_size)
    values = dict(
        **{name: getattr(params, name) for name in (*_SAME, *(() if of_encoder else ("load",)))},
        **of_encoder,
        start="scratch" if of_encoder else "file",
        objective=objective,
        tuning=strategy,
        optimizer=optimizer,
        monitor=monitor,
        higher_is_better=higher_is_better(monitor.rpartition("/")[2]),
        seed=seed,
        validation_interval_steps=n_steps_per_epoch,
        log_interval_steps=n_steps_per_epoch,
        n_validation_windows=_ALL_WINDOWS,
    )
    try:
        return SupervisedParams(**values)
    except ValidationError as error:
        raise ConfigError(f"parameter finetune: {first_problem(error)}") from error


def of_header(header: CheckpointHeader) -> dict[str, Any]:
    """Return the configurations of an encoder and of all that stands before it, as parameters."""
    decided = decided_by(header)  # not by way of a pretraining, whose objective may ask for another encoder
    return {name: getattr(decided, name) for name in OF_THE_START}


def of_encoder(config: EncoderConfig, adapter: Buildable, header: CheckpointHeader) -> dict[str, Any]:
    """Return the same of another encoder behind the same reference."""
    same = of_header(header)
    return {**same, "encoder": config, "adapter": adapter, "normalization": config.default_normalization}


def training_rows(task: FinetuningTask, drawn_by: DrawnBy = "windows") -> pd.DataFrame:
    """Return the runs of windows of persons for training and validation, as a mixture of one corpus.

    Args:
        task: What is asked, and of whom.
        drawn_by: See ``TuningParams``.

    Raises:
        SplitError: Nobody may be trained on, or an answer is none of the task.
    """
    columns = ["person", "identity", "split"]
    rows = answered(task.windows).merge(task.splits.loc[task.splits["split"].isin(TRAINED), columns], on="person")
    rows = rows.sort_values(["identity", "recording_id", "start"], ignore_index=True)
    where = f"task {task.name}"
    checked_answers(rows[rows["split"] == "train"], task.target, f"{where}, training persons")
    checked_answers(rows, task.target, where, to_learn=False)
    if task.target.kind in ("binary", "multiclass"):
        rows = rows.assign(label=pd.Categorical(rows["label"], categories=list(task.target.classes)))
    return rows.assign(
        weight=1.0, drawn_by=drawn_by, max_windows_per_person=0, is_rounded=False, mix_cut=str(rows["cut"].iloc[0])
    )


def answered(windows: pd.DataFrame) -> pd.DataFrame:
    """Runs of windows of one cut that have an answer."""
    column = next((name for name in ("label", "target", "targets") if windows[name].notna().any()), "label")
    return windows[windows[column].notna()]


def objective_of(
    params: TuningParams, task: FinetuningTask, mixture: pd.DataFrame, *, standardizes: bool = True
) -> SupervisedConfig:
    """Return what is asked, with what the training persons tell: weights of classes, means of numbers."""
    train = mixture[mixture["split"] == "train"]
    truths = checked_answers(train, task.target, f"task {task.name}, training persons")
    n_windows = train["n_windows"].to_numpy(np.int64)
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    weights = None
    if task.target.kind == "regression":
        known = ~np.isnan(truths)
        counts = (known * n_windows[:, None]).sum(axis=0)
        values = np.where(known, truths, 0.0).astype(np.float64)
        means = (values * n_windows[:, None]).sum(axis=0) / counts
        squares = (np.where(known, truths - means, 0.0) ** 2 * n_windows[:, None]).sum(axis=0) / counts
        mean, sd = tuple(map(float, means)), tuple(map(float, np.sqrt(squares)))
        if params.class_weights.name != "none":
            class_weights(params.class_weights, task.target, counts)
    else:
        weights = class_weights(params.class_weights, task.target, answer_counts(task.target, truths, n_windows))
    strategy = params.strategy
    lora = LoraConfig(rank=strategy.rank, alpha=strategy.alpha) if isinstance(strategy, LoraStrategy) else None
    return SupervisedConfig(
        target=Target.of(task.target),
        head=params.head,
        loss=params.loss,
        class_weights=() if weights is None else tuple(map(float, weights.ravel())),
        mean=mean,
        sd=sd,
        standardizes=standardizes,
        lora=lora,
    )


def _n_windows(mixture: pd.DataFrame, split: str) -> int:
    return int(mixture.loc[mixture["split"] == split, "n_windows"].sum())
