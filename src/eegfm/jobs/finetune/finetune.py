"""Finetune an encoder on tasks, and score it once on persons that nobody has trained on, beside its controls."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.evaluation.ledger import Ledger
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.efficiency import label_efficiency
from eegfm.jobs.finetune.encoders import encoders_of
from eegfm.jobs.finetune.finished import remove_old
from eegfm.jobs.finetune.planned import PlannedTask, Training, planned_tasks
from eegfm.jobs.finetune.protocol import describe_protocol
from eegfm.jobs.finetune.scores import score_models
from eegfm.jobs.finetune.tested import Answered, Trained, say
from eegfm.jobs.finetune.trained import FINETUNED, train
from eegfm.jobs.finetune.values import losses_of_test, values_of
from eegfm.store.reader import SignalStore
from eegfm.windows.config import WindowParams

logger = logging.getLogger(__name__)


@dataclass
class FinetuneResult:
    """Hold the outcome of a finetuning.

    Args:
        encoders: By ``corpus.task``, the finetuned encoder with its head, that of the first fold and seed; the others
            by name of task, fold and seed, see ``eegfm.jobs.finetune.encoders``. None for a closed form, which leaves
            the encoder as it is.
        metrics: By ``corpus.task``, scores of all models, differences, protocol; JSON-ready.
        predictions: One row per task, model, initialisation and test window.
        history: One row per task, model, seed, division and epoch, with the ``monitor`` of the training.
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
    own, own_said = set[str](), set[str]()
    for planned in planned_tasks(params, start, stores, windows, cuts, splits):
        key = planned.task.key
        trained = _trained(planned.trainings, runs)
        shares = {share.ratio: _trained(share.trainings, runs) for share in planned.shares if share.trainings}
        own |= {one.result.run_directory.name for found in (trained, *shares.values()) for one in found}
        answered = say(planned, trained, shares, runs, Ledger(ledger))
        own_said.add(answered.run)
        done.encoders |= encoders_of(planned, trained)
        done.metrics[key] = _metrics(planned, trained, answered)
        tables.append(answered.said.table(key))
        histories += [_history(key, one) for one in trained]
        _log(key, done.metrics[key])
    done.predictions, done.history = (pd.concat(parts, ignore_index=True) for parts in (tables, histories))
    remove_old(runs, params.keep_runs, own, own_said)
    return done


def _trained(trainings: Sequence[Training], runs: Path) -> list[Trained]:
    return [Trained(*one, train(one.model, runs)) for one in trainings]


def _metrics(planned: PlannedTask, trained: list[Trained], answered: Answered) -> dict[str, Any]:
    """Return scores of all models of a task, audits, plain values and the protocol."""
    said = answered.said
    scores = score_models(said, planned.params)
    efficiency = label_efficiency(planned, answered.shares, scores)
    for name, audit in answered.audits.items():
        scores["models"][name]["identity"] = audit
    for name, rows in answered.chosen.items():
        scores["models"][name]["chosen"] = rows
    of_trainings = [one.result.metrics for one in trained if one.model.name == FINETUNED]
    return {
        **scores,
        "values": values_of(of_trainings, scores["models"], losses_of_test(said, _headers(trained))),
        **({"label_efficiency": efficiency} if efficiency else {}),
        "protocol": describe_protocol(planned, said, answered.n_looks_before),
    }


def _headers(trained: list[Trained]) -> dict[int, dict[str, CheckpointHeader]]:
    """Return headers of the finetuned models, by seed and division; none for a closed form."""
    found: dict[int, dict[str, CheckpointHeader]] = {}
    for one in (one for one in trained if one.model.name == FINETUNED):
        found.setdefault(one.seed, {})[one.division.name] = one.result.checkpoint.header
    return found


def _history(key: str, one: Trained) -> pd.DataFrame:
    told: dict[str, Any] = {
        "model": one.model.name,
        "seed": one.seed,
        "division": one.division.name,
        "monitor": one.model.monitor,
    }
    return one.result.history.assign(task=key, **told)


def _log(key: str, metrics: Mapping[str, Any]) -> None:
    name = metrics["compared_by"]
    for model, found in metrics["models"].items():
        block = found[metrics["level"]][name]
        shown = [_shown(value) for value in (block["value"], *block["interval_95"])]
        logger.info("%s, %s: %s %s (%s to %s)", key, model, name.replace("_", " "), *shown)


def _shown(value: float | None) -> str:
    """Return a number for the log; one person alone gives no interval, and some answers define no score."""
    return "not defined" if value is None else f"{value:.3f}"
