"""Finetune an encoder on tasks, and score it once on persons that nobody has trained on, beside its controls."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.ledger import Ledger
from eegfm.jobs.finetune.audit import Audit
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.planned import PlannedTask, planned_tasks
from eegfm.jobs.finetune.protocol import describe_protocol
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.scores import score_models
from eegfm.jobs.finetune.tested import Trained, say
from eegfm.jobs.finetune.trained import FINETUNED, train
from eegfm.jobs.finetune.values import losses_of_test, values_of
from eegfm.store.reader import SignalStore
from eegfm.windows.config import WindowParams

logger = logging.getLogger(__name__)


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
    done = FinetuneResult()
    tables: list[pd.DataFrame] = []
    histories: list[pd.DataFrame] = []
    for planned in planned_tasks(params, start, stores, windows, cuts, splits):
        key = planned.task.key
        trained = [Trained(*one, train(one.model, runs)) for one in planned.trainings]
        said, audits, n_looks_before = say(planned, trained, runs, Ledger(ledger))
        if trained[0].model.name == FINETUNED:
            done.encoders[key] = trained[0].result.checkpoint
        done.metrics[key] = _metrics(planned, trained, said, audits, n_looks_before)
        tables.append(said.table(key))
        histories += [_history(key, one) for one in trained]
        _log(key, done.metrics[key])
    done.predictions, done.history = (pd.concat(parts, ignore_index=True) for parts in (tables, histories))
    return done


def _metrics(
    planned: PlannedTask, trained: list[Trained], said: Said, audits: Mapping[str, Audit], n_looks_before: int
) -> dict[str, Any]:
    """Scores of all models of a task, audits, plain values and the protocol."""
    scores = score_models(said, planned.params)
    for name, audit in audits.items():
        scores["models"][name]["identity"] = audit
    of_trainings = [one.result.metrics for one in trained if one.model.name == FINETUNED]
    return {
        **scores,
        "values": values_of(of_trainings, scores["models"], losses_of_test(said, _headers(trained))),
        "protocol": describe_protocol(planned, said, n_looks_before),
    }


def _headers(trained: list[Trained]) -> dict[int, dict[str, CheckpointHeader]]:
    """Headers of the finetuned models, by seed and division; none for a closed form."""
    found: dict[int, dict[str, CheckpointHeader]] = {}
    for one in (one for one in trained if one.model.name == FINETUNED):
        found.setdefault(one.seed, {})[one.division.name] = one.result.checkpoint.header
    return found


def _history(key: str, one: Trained) -> pd.DataFrame:
    return one.result.history.assign(task=key, model=one.model.name, seed=one.seed, division=one.division.name)


def _log(key: str, metrics: Mapping[str, Any]) -> None:
    name = metrics["compared_by"]
    for model, found in metrics["models"].items():
        block = found[metrics["level"]][name]
        low, high = block["interval_95"]
        logger.info("%s, %s: %s %.3f (%.3f to %.3f)", key, model, name.replace("_", " "), block["value"], low, high)
