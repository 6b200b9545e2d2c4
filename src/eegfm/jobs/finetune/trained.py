"""Train the models of one division of a task, and let them answer the test windows."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.config import Buildable
from eegfm.evaluation.config import Pooling
from eegfm.evaluation.features import checked_pool
from eegfm.heads.config import LinearConfig
from eegfm.inference.table_loader import TableLoader
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask
from eegfm.jobs.finetune.finished import fit_once
from eegfm.jobs.finetune.said import TestWindows
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning_job, of_encoder
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.result import PretrainResult
from eegfm.jobs.weights.answering import load_supervised
from eegfm.store.reader import SignalStore
from eegfm.training.strategies.config import ScratchStrategy
from eegfm.training.supervised.config import SupervisedParams
from eegfm.training.supervised.predicting import Predictions, predict
from eegfm.windows.answers import without_answers

logger = logging.getLogger(__name__)

FINETUNED, SCRATCH, EEGNET = "finetuned", "scratch", "eegnet"


@dataclass(frozen=True)
class Model:
    """Hold a model to train.

    Args:
        name: Name of its row.
        task: Name of the task, and who is left out.
        job: Its training.
    """

    name: str
    task: str
    job: TrainingJob

    @property
    def monitor(self) -> str:
        """Return the key that its validations are compared by."""
        assert isinstance(self.job.params, SupervisedParams), "a finetuning has answers"
        return self.job.params.monitor


def models_of(
    params: FinetuneParams, asked: FinetuneTask, task: FinetuningTask, start: Checkpoint, seed: int
) -> list[Model]:
    """Return the trainings of one division and seed: the strategy, the same encoder from scratch, and EEGNet.

    A closed form is no training.
    """
    tuning = params.tuning(asked)
    scratch = tuning.model_copy(update={"strategy": ScratchStrategy(), "optimizer": params.control_optimizer})
    found = []
    if params.closed(asked) is None:
        found.append(Model(FINETUNED, task.name, finetuning_job(tuning, task, start, seed=seed)))
    if not isinstance(tuning.strategy, ScratchStrategy):
        found.append(Model(SCRATCH, task.name, finetuning_job(scratch, task, start, seed=seed)))
    small = scratch.model_copy(update={"head": LinearConfig()})
    job = finetuning_job(small, task, start, seed=seed)
    several = task.windows["montage"].nunique() > 1
    adapter: Buildable = InterpolateConfig(montage=params.eegnet_montage) if several else NoAdapterConfig()
    changed = job.params.model_copy(update=of_encoder(params.eegnet, adapter, start.header))
    return [*found, Model(EEGNET, task.name, replace(job, params=changed))]


def train(model: Model, runs: Path) -> PretrainResult:
    """Train a model, or find it finished."""
    logger.info("Task %s: training of %s", model.task, model.name)
    return fit_once(model.job, runs)


def predictions_of(
    checkpoint: Checkpoint, test: TestWindows, store: SignalStore, params: FinetuneParams, pooling: Pooling
) -> Predictions:
    """Predict test windows with a stored model, through Lightning's Trainer.

    Args:
        checkpoint: Weights and header of the model.
        test: The windows.
        store: Signals of the corpus.
        params: All choices.
        pooling: How features are pooled over channels: as those of the controls are.
    """
    # Test persons may have montages that no training person has.
    module = load_supervised(checkpoint, spec_of_windows(test.windows, store))
    loader = TableLoader(store, without_answers(test.windows), params.predict_batch_size)
    machine: dict[str, Any] = {"accelerator": params.accelerator, "precision": params.precision, "key": "finetune."}
    return predict(module, loader, pool=partial(checked_pool, pooling=pooling), **machine)


def spec_of_windows(windows: pd.DataFrame, store: SignalStore) -> SignalSpec:
    """Describe the windows of a table: rate, montages, longest windows."""
    longest = {str(name): int(n) for name, n in windows.groupby("montage")["n_samples"].max().items()}
    return SignalSpec(store.rate_hz, {name: store.montages[name] for name in longest}, longest)
