"""Train linear heads by gradients on frozen encoders, division by division, and let them answer the test windows.

Shapes: W windows, T test windows.
"""

import logging
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.linear import Floats, Ints, Rows
from eegfm.evaluation.penalty import person_groups
from eegfm.heads.config import LinearConfig
from eegfm.inference.backbone import untrained_backbone_like
from eegfm.inference.table_loader import TableLoader
from eegfm.jobs.probe.features import spec_of
from eegfm.jobs.probe.trials import Trials
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning_job
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.pretrain import fit_training
from eegfm.jobs.weights.answering import load_supervised
from eegfm.losses.config import BalancedWeights, NoWeights
from eegfm.splits.leakage import SplitTable
from eegfm.splits.splits import NO_FOLD
from eegfm.store.reader import SignalStore
from eegfm.targets import TargetSpec
from eegfm.training.blocks import CheckpointParams, LoaderParams, SupervisedLoadParams
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.strategies.config import LinearProbeStrategy
from eegfm.training.supervised.config import TuningParams
from eegfm.training.supervised.predicting import predict
from eegfm.windows.answers import without_answers

logger = logging.getLogger(__name__)

Trainings = Mapping[str, list[list[TrainingJob]]]
"""By kind of features, for each initialisation, the training of each division."""


@dataclass(frozen=True)
class HeadDivision:
    """Division of windows into those that train, those that select the epoch, and those that are tested.

    Args:
        train: (W,) True for windows that are trained on.
        selects: (W,) True for windows that select.
        test: (W,) True for windows that are predicted.
    """

    train: Rows
    selects: Rows
    test: Rows

    def splits(self, splits: pd.DataFrame, trials: Trials) -> pd.DataFrame:
        """Return a splits table of this division; whoever has no part in it is excluded."""
        parts = np.select([self.train, self.selects, self.test], ["train", "validation", "test"], "excluded")
        of_identity = dict(zip(trials.windows["identity"], parts, strict=True))
        split = splits["identity"].map(of_identity).fillna("excluded").astype("str")
        return splits.assign(split=split, fold=np.where(split == "test", 0, NO_FOLD))


def divisions_of(trials: Trials) -> list[HeadDivision]:
    """Divide the training persons of each fold into those to train on and those who select. No answer of a fold counts.

    Persons of split ``validation`` select, where there are some. Otherwise one of ``inner_folds`` groups does: the
    first that has every class and leaves every class to train on, or else the first that leaves every class.

    Raises:
        SplitError: Whichever group selects, a class is missing from the others, or their numbers do not vary.
    """
    found = []
    for fold in range(int(trials.folds.max()) + 1):
        test = trials.folds == fold
        known = trials.folds != fold
        selects = known & (trials.windows["split"] == "validation").to_numpy()
        if not selects.any():
            selects[known] = _selecting(trials, known, f"fold {fold}")
        found.append(HeadDivision(known & ~selects, selects, test))
    return found


def _selecting(trials: Trials, known: Rows, where: str) -> Rows:
    """(K,) windows that select, of the K windows of training persons."""
    assert isinstance(trials.answers, Answers), "a retrieval trains nothing"
    answers, persons = trials.answers.at(known), trials.persons[known]
    groups = [
        group for group in person_groups(persons, trials.task.fit.inner_folds) if _is_learnable(answers.at(~group))
    ]
    if not groups:
        raise SplitError(
            f"task {trials.task.key}, {where}: {len(np.unique(persons))} training persons cannot be divided into some "
            "to train a head on and some to select its epoch on: without some of them a class is missing, or nothing "
            "varies; add persons, or choose method ridge"
        )
    return next((group for group in groups if answers.at(group).can_be_learnt()), groups[0])


def _is_learnable(answers: Answers) -> bool:
    is_class = isinstance(answers, ClassAnswers)
    return answers.can_be_learnt() and (is_class or bool(np.ptp(answers.values) > 0))


def plan_trainings(
    checkpoint: Checkpoint, store: SignalStore, splits: pd.DataFrame, trials: Trials, params: ProbeParams
) -> Trainings:
    """Plan the trainings of heads on the encoder and on its untrained twins. No sample is read.

    Args:
        checkpoint: The encoder.
        store: Signals of the corpus.
        splits: One row per person.
        trials: Windows of the task.
        params: Choices of the whole probe.

    Raises:
        SplitError: See ``divisions_of``; or an encoder has seen test persons.
        CheckpointError: The encoder does not fit the windows.
    """
    answers, key = trials.answers, trials.task.key
    target = TargetSpec.of_classes(answers.classes) if isinstance(answers, ClassAnswers) else TargetSpec("regression")
    windows = trials.windows.drop(columns=["identity", "split", "fold"])
    tuning = _tuning(trials, params)
    tasks = [
        FinetuningTask(key, target, windows, division.splits(splits, trials), {trials.task.corpus: store})
        for division in divisions_of(trials)
    ]
    spec = spec_of(store, trials.windows)
    twins = [_untrained(checkpoint, spec, params.untrained_seed + k) for k in range(params.n_untrained)]
    return {
        kind: [
            [finetuning_job(tuning, task, start, seed=params.seed, phase="probe") for task in tasks] for start in starts
        ]
        for kind, starts in {"pretrained": [checkpoint], "untrained": twins}.items()
    }


def train_heads(
    trainings: Trainings, store: SignalStore, trials: Trials, params: ProbeParams
) -> dict[str, list[HeldOut]]:
    """Train all heads, and predict the test windows of each division with the head that has never seen them.

    States of a training lie in a temporary folder, which is removed as soon as its test windows are predicted.

    Args:
        trainings: See ``plan_trainings``.
        store: Signals of the corpus.
        trials: Windows of the task.
        params: Choices of the whole probe.

    Returns:
        By kind of features, the predictions of each initialisation; ``epochs`` among what was chosen.

    Raises:
        EegfmError: See ``eegfm.jobs.train.pretrain.fit_training``.
    """
    n_models, n_folds = sum(map(len, trainings.values())), int(trials.folds.max()) + 1
    logger.info(
        "Probe of %s: %d heads to train (encoders %d, divisions %d)",
        *(trials.task.key, n_models * n_folds, n_models, n_folds),
    )
    return {kind: [_held_out(jobs, store, trials, params) for jobs in inits] for kind, inits in trainings.items()}


def _held_out(jobs: list[TrainingJob], store: SignalStore, trials: Trials, params: ProbeParams) -> HeldOut:
    """Predict all test windows with the heads on one encoder."""
    assert isinstance(trials.answers, Answers), "a retrieval trains nothing"
    predicted, scores = np.zeros_like(trials.answers.values), np.full(len(trials.windows), np.nan)
    epochs = []
    for fold, job in enumerate(jobs):
        test = trials.folds == fold
        said, n_epochs = _trained(job, store, trials.windows[test].reset_index(drop=True), params)
        predicted[test], scores[test] = _decided(said, trials.answers)
        epochs.append(n_epochs)
    rows = trials.is_tested
    return HeldOut(predicted[rows], scores[rows], {"epochs": tuple(epochs)})


def _trained(job: TrainingJob, store: SignalStore, windows: pd.DataFrame, params: ProbeParams) -> tuple[Floats, float]:
    """Train a head; (T, K) what it says of the test windows, and the epoch that was selected."""
    SplitTable(job.splits).check_test(windows)  # by the table that the training itself is held to
    with tempfile.TemporaryDirectory(prefix="eegfm_probe_") as folder:
        checkpoint = fit_training(job, Path(folder)).checkpoint
    # Test persons may have montages that no training person has.
    module = load_supervised(checkpoint, spec_of(store, windows), accept_other_code=params.accept_other_code)
    loader = TableLoader(store, without_answers(windows), params.batch_size)
    said = predict(module, loader, accelerator=params.accelerator, precision=params.precision, key="probe.").said
    assert checkpoint.header.n_steps is not None, "a training knows its steps"
    n_windows = int(job.mixture.loc[job.mixture["split"] == "train", "n_windows"].sum())
    return said, checkpoint.header.n_steps / math.ceil(n_windows / job.params.batch_size)


def _decided(said: Floats, answers: Answers) -> tuple[Any, Floats]:
    """(T,) classes or numbers, and (T,) scores as those of ``HeldOut``, of what is said of windows."""
    if not isinstance(answers, ClassAnswers):
        return said[:, 0], said[:, 0]
    classes: Ints = said.argmax(axis=1)
    return classes, said[:, 1] if said.shape[1] == 2 else said.max(axis=1)


def _tuning(trials: Trials, params: ProbeParams) -> TuningParams:
    fit, training = trials.task.fit, trials.task.fit.training
    return TuningParams(
        strategy=LinearProbeStrategy(),
        head=LinearConfig(pooling="rows" if fit.pooling == "channels" else "mean"),
        class_weights=BalancedWeights() if isinstance(trials.answers, ClassAnswers) else NoWeights(),
        optimizer=AdamWConfig(learning_rate=training.learning_rate),
        batch_size=training.batch_size,
        n_epochs=training.n_epochs,
        patience=training.patience,
        loader=LoaderParams(verify=params.verify),
        load=SupervisedLoadParams(
            accept_other_code=params.accept_other_code, allow_test_persons=params.allow_pretrained_persons
        ),
        accelerator=params.accelerator,
        precision=params.precision,
        progress_bar=False,
        checkpoint=CheckpointParams(every_steps=None, keep=1),
    )


def _untrained(checkpoint: Checkpoint, spec: Any, seed: int) -> Checkpoint:
    """Return the same encoder with fresh weights, which has seen nobody."""
    state = untrained_backbone_like(checkpoint, spec, seed).state_dict()
    nobody: dict[str, Any] = {"imported": None, "parents": (), "corpora": [], "simulated_corpora": [], "n_persons": 0}
    nobody |= {"persons": [], "signals": [], "kept_out": {}, "seed": seed}
    return Checkpoint(
        {name: value.numpy() for name, value in state.items()}, checkpoint.header.model_copy(update=nobody)
    )
