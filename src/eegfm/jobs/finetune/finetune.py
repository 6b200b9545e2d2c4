"""Finetune an encoder on tasks, and score it once on persons that nobody has trained on, beside its controls."""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.errors import ConfigError
from eegfm.evaluation.ledger import Ledger, test_set_of, window_hash
from eegfm.evaluation.tasks import tasks_by_corpus
from eegfm.files import write_atomically
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.finetune.audit import Audit, audit_of, mean_audits, pooled_features, transductive_gaps
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask
from eegfm.jobs.finetune.controls import Controls, pooling_of
from eegfm.jobs.finetune.divisions import Division, divide
from eegfm.jobs.finetune.protocol import describe_protocol, exposure_of
from eegfm.jobs.finetune.said import Said, TestWindows
from eegfm.jobs.finetune.scores import level_of, score_models
from eegfm.jobs.finetune.trained import FINETUNED, Model, models_of, predictions_of, train
from eegfm.jobs.finetune.values import test_losses, values_of
from eegfm.jobs.train.finetuning import FinetuningTask, answered
from eegfm.jobs.train.result import PretrainResult
from eegfm.provenance import sha256_of
from eegfm.source_code import module_hashes
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore
from eegfm.targets import TargetSpec
from eegfm.windows.answers import checked_answers
from eegfm.windows.config import WindowParams
from eegfm.windows.runs import expand

logger = logging.getLogger(__name__)

STEP = "finetune"
_SCORING = ("tasks", "n_bootstrap", "bootstrap_seed", "allow_pretrained_persons", "accept_other_data")
"""Choices that do not decide what is said of the windows of one task."""


@dataclass
class FinetuneResult:
    """Outcome of a finetuning.

    Args:
        encoders: By ``corpus.task``, the finetuned encoder with its head; of a cross-validation, that of the first
            fold and seed. None for a closed form, which leaves the encoder as it is.
        metrics: By ``corpus.task``, scores of all models, differences, protocol; JSON-ready.
        predictions: One row per task, model, initialisation and test window.
        history: One row per task, model, seed, division and epoch.
    """

    encoders: dict[str, Checkpoint] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class AskedTask:
    """A task on one corpus, with all that it reads."""

    key: str
    asked: FinetuneTask
    target: TargetSpec
    windows: pd.DataFrame
    store: SignalStore


def finetune(
    start: Checkpoint,
    stores: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    cuts: Mapping[str, WindowParams],
    splits: pd.DataFrame,
    params: FinetuneParams,
    runs: Path,
    ledger: Path,
) -> FinetuneResult:
    """Finetune, task by task: train on persons for training, select on those for validation, score the others once.

    Args:
        start: The encoder.
        stores: Signals by corpus.
        windows: Runs of windows by corpus.
        cuts: By corpus, how its windows were cut: this says what is asked of them.
        splits: One row per person.
        params: All choices.
        runs: Folder of the trainings. Finished ones are not done again.
        ledger: Folder of the book of looks at test sets.

    Raises:
        EegfmError: Tables, parameters and encoder do not fit. All tasks are looked at before the first training.
    """
    asked = asked_tasks(params, stores, windows, cuts)
    divided = {task.key: divisions_of(task, splits, params) for task in asked}
    exposures = {task.key: exposure_of(divided[task.key][1], splits, start, task.store, params) for task in asked}
    done = FinetuneResult()
    tables: list[pd.DataFrame] = []
    histories: list[pd.DataFrame] = []
    for task in asked:
        divisions, tests = divided[task.key]
        trained = _train(task, divisions, params, start, runs)
        said, audits, looks = _say(task, divisions, tests, trained, params, start, runs, Ledger(ledger))
        if trained[0].model.name == FINETUNED:
            done.encoders[task.key] = trained[0].result.checkpoint
        scores = score_models(said, params, audits)
        of_trainings = [one.result.metrics for one in trained if one.model.name == FINETUNED]
        done.metrics[task.key] = {
            **scores,
            "values": values_of(of_trainings, scores["models"], test_losses(said, _headers(trained))),
            "protocol": describe_protocol(
                task.key,
                task.asked,
                divisions,
                said,
                params,
                start,
                exposures[task.key],
                looks,
                is_simulated=task.store.is_simulated,
            ),
        }
        tables.append(said.table(task.key))
        histories += [_history(task.key, one) for one in trained]
        _log(task.key, done.metrics[task.key])
    done.predictions, done.history = (pd.concat(parts, ignore_index=True) for parts in (tables, histories))
    return done


def asked_tasks(
    params: FinetuneParams,
    stores: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    cuts: Mapping[str, WindowParams],
) -> list[AskedTask]:
    """Find the tasks of all corpora and what each asks.

    Raises:
        ConfigError: A task has no windows, or its windows have no answer.
    """
    found = tasks_by_corpus(params.asked, {c: {*map(str, table["cut"])} for c, table in windows.items()}, STEP)
    return [
        AskedTask(
            f"{corpus}.{task.name}",
            task,
            cuts[corpus].cuts[task.own_cut].target_spec,
            _answered(windows[corpus][windows[corpus]["cut"] == task.own_cut], f"{corpus}.{task.name}"),
            stores[corpus],
        )
        for corpus, task in found
    ]


def _answered(windows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Runs of windows that have an answer.

    Raises:
        ConfigError: None has.
    """
    found = answered(windows)
    if found.empty:
        raise ConfigError(
            f"parameter finetune.tasks: the windows of {key} have no answer; name a cut with a task, such as {{name: "
            "hbn_eyes}"
        )
    return found


def divisions_of(
    task: AskedTask, splits: pd.DataFrame, params: FinetuneParams
) -> tuple[list[Division], dict[str, TestWindows]]:
    """Divide the persons of a task, and find the test windows of each division.

    Raises:
        SplitError: Persons or answers are too few, or a person would be tested who may not be.
    """
    divisions = divide(splits, task.windows["person"], params.evaluation, task.key)
    return divisions, {one.name: _test_windows(task, one) for one in divisions}


def _test_windows(task: AskedTask, division: Division) -> TestWindows:
    tested = division.splits[division.splits["split"] == "test"]
    rows = expand(task.windows.merge(tested[["person", "identity"]], on="person"))
    rows = rows.sort_values(["identity", "person", "recording_id", "start"], ignore_index=True)
    SplitTable(division.splits).check_test(rows)
    where = f"task {task.key}, test persons ({division.name})"
    return TestWindows(rows, checked_answers(rows, task.target, where, to_learn=False))


@dataclass(frozen=True)
class _Trained:
    """A model of one division and seed, trained."""

    model: Model
    division: Division
    seed: int
    result: PretrainResult


def _train(
    task: AskedTask, divisions: list[Division], params: FinetuneParams, start: Checkpoint, runs: Path
) -> list[_Trained]:
    found = []
    for division in divisions:
        given = FinetuningTask(task.key, task.target, task.windows, division.splits, {_corpus(task): task.store})
        for seed in params.seeds:
            for model in models_of(params, task.asked, given, start, seed):
                found.append(_Trained(model, division, seed, train(model, runs)))
    return found


def _say(
    task: AskedTask,
    divisions: list[Division],
    tests: dict[str, TestWindows],
    trained: list[_Trained],
    params: FinetuneParams,
    start: Checkpoint,
    runs: Path,
    ledger: Ledger,
) -> tuple[Said, dict[str, Audit], int]:
    """Let all models answer the test windows, once; what the same run has said before is read again.

    Returns:
        The answers, audits of the features behind them by model, and how often these test persons were scored before.
    """
    tests = {name: _usable(test, task.store, start) for name, test in tests.items()}
    windows = pd.concat([test.windows for test in tests.values()])
    run = _name_of(task, windows, trained, params)
    n_before = ledger.look(test_set_of(windows), run, STEP, task.key, again=params.score_again)
    file, audit_file = (runs / "said" / f"{run}.{ending}" for ending in ("parquet", "json"))
    if file.exists() and not params.score_again:
        logger.info("%s: this run has scored its test persons before; what was said then is used", task.key)
        audits = json.loads(audit_file.read_text(encoding="utf-8"))
        return Said.of_table(task.target, tests, pd.read_parquet(file)), audits, n_before
    said, audits = _said(task, divisions, tests, trained, params, start)
    file.parent.mkdir(parents=True, exist_ok=True)
    # The answers come last: where they are, the audits are.
    write_atomically(audit_file, json.dumps(audits, indent=1, allow_nan=False).encode())
    said.table(task.key).to_parquet(file)
    return said, audits, n_before


def _said(
    task: AskedTask,
    divisions: list[Division],
    tests: dict[str, TestWindows],
    trained: list[_Trained],
    params: FinetuneParams,
    start: Checkpoint,
) -> tuple[Said, dict[str, Audit]]:
    """What trained models and controls say, and the audits of their features."""
    said, found = Said(task.target, tests), defaultdict(list)
    pooling = pooling_of(task.windows, params.fit)
    for one in trained:
        test = tests[one.division.name]
        predictions = predictions_of(one.result.checkpoint, test, task.store, params)
        said.add(one.model.name, one.seed, one.division.name, predictions.said)
        found[one.model.name].append(audit_of(pooled_features(predictions, pooling), test, task.target))
    controls = Controls(task.key, task.target, task.windows, task.store, start, params, params.closed(task.asked))
    # Z-scores per person erase what persons differ in.
    zscored = Said(task.target, tests) if level_of(said) == "window" else None
    for division in divisions:
        controls.add_to(said, division, zscored)
        for name, own in controls.audits(tests[division.name]).items():
            found[name] += own
    audits = mean_audits(found)
    for name, gap in ({} if zscored is None else transductive_gaps(said, zscored)).items():
        audits[name]["transductive_gap"] = gap
    return said, audits


def _usable(test: TestWindows, store: SignalStore, start: Checkpoint) -> TestWindows:
    """Leave out windows in which bad channels leave nothing to encode."""
    placed = test.windows.assign(place=np.arange(len(test.windows)))
    stores = {str(corpus): store for corpus in placed["corpus"].unique()}
    kept = with_channels_left(placed, stores, partial(rereference_for, start.header))
    return TestWindows(kept.drop(columns="place").reset_index(drop=True), test.truths[kept["place"].to_numpy()])


def _name_of(task: AskedTask, windows: pd.DataFrame, trained: list[_Trained], params: FinetuneParams) -> str:
    """Name of everything that decides what is said: trainings, test windows, parameters, code."""
    return sha256_of(
        [
            task.key,
            window_hash(windows),
            [one.result.checkpoint.identity() for one in trained],
            task.asked.model_dump(mode="json"),
            {name: value for name, value in params.identity().items() if name not in _SCORING},
            module_hashes(__name__),
        ]
    )[:16]


def _headers(trained: list[_Trained]) -> dict[int, dict[str, CheckpointHeader]]:
    """Headers of the finetuned models, by seed and division; none for a closed form."""
    found: dict[int, dict[str, CheckpointHeader]] = {}
    for one in (one for one in trained if one.model.name == FINETUNED):
        found.setdefault(one.seed, {})[one.division.name] = one.result.checkpoint.header
    return found


def _history(key: str, one: _Trained) -> pd.DataFrame:
    return one.result.history.assign(task=key, model=one.model.name, seed=one.seed, division=one.division.name)


def _corpus(task: AskedTask) -> str:
    return task.key.partition(".")[0]


def _log(key: str, metrics: Mapping[str, Any]) -> None:
    name = metrics["compared_by"]
    for model, found in metrics["models"].items():
        block = found[metrics["level"]][name]
        low, high = block["interval_95"]
        logger.info("%s, %s: %s %.3f (%.3f to %.3f)", key, model, name.replace("_", " "), block["value"], low, high)
