"""Let the models of a task answer its test windows, once."""

import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.ledger import Ledger, asked_persons, window_hash
from eegfm.files import write_atomically
from eegfm.inference.backbone import rereference_for
from eegfm.inference.channels_left import with_channels_left
from eegfm.jobs.finetune.asked import STEP
from eegfm.jobs.finetune.audit import Audit, audit_of, mean_audits, transductive_gaps
from eegfm.jobs.finetune.controls import Chosen, Controls, pooling_of
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.finished import SAID
from eegfm.jobs.finetune.planned import PlannedShare, PlannedTask
from eegfm.jobs.finetune.said import Said, TestWindows
from eegfm.jobs.finetune.scores import level_of
from eegfm.jobs.finetune.trained import Model, predictions_of
from eegfm.jobs.train.result import PretrainResult
from eegfm.provenance import sha256_of
from eegfm.source_code import code_sha256
from eegfm.store.reader import SignalStore

logger = logging.getLogger(__name__)

_SCORING = ("tasks", "n_bootstrap", "bootstrap_seed", "allow_pretrained_persons", "accept_other_data")
"""Choices that do not decide what is said of the windows of one task."""


@dataclass(frozen=True)
class Trained:
    """Hold a trained model of one division and seed."""

    model: Model
    division: Division
    seed: int
    result: PretrainResult


@dataclass(frozen=True)
class Answered:
    """Hold everything that was said of the test windows of a task.

    Args:
        said: By the models of the run.
        shares: By share below 1, by models of some of the training persons.
        audits: By model, what the features behind its answers tell of persons.
        chosen: What closed forms chose on training and selecting persons, see ``Controls.add_to``.
        n_looks_before: How often these test persons were scored before.
        run: Name of the files that keep all this.
    """

    said: Said
    shares: dict[float, Said]
    audits: dict[str, Audit]
    chosen: Chosen
    n_looks_before: int
    run: str


def say(
    planned: PlannedTask,
    trained: Sequence[Trained],
    shares: Mapping[float, Sequence[Trained]],
    runs: Path,
    ledger: Ledger,
) -> Answered:
    """Let all models answer the test windows, once; what the same run has said before is read again.

    Args:
        planned: The task.
        trained: Its trained models.
        shares: Those of shares below 1 of the training persons. All together are one look.
        runs: Folder of the trainings; answers are kept beside them.
        ledger: Book of looks at test sets.
    """
    task, again = planned.task, planned.params.score_again
    planned = replace(
        planned, tests={name: _usable(test, task.store, planned.start) for name, test in planned.tests.items()}
    )
    windows = pd.concat([test.windows for test in planned.tests.values()])
    run = _name_of(planned, [*trained, *(one for ratio in sorted(shares) for one in shares[ratio])])
    n_before = ledger.look(asked_persons(windows), run, STEP, task.key, again=again)
    file, audit_file = (runs / SAID / f"{run}.{ending}" for ending in ("parquet", "json"))
    if file.exists() and not again:
        logger.info("%s: this run has scored its test persons before; what was said then is used", task.key)
        told = json.loads(audit_file.read_text(encoding="utf-8"))
        tables = {float(str(ratio)): rows for ratio, rows in pd.read_parquet(file).groupby("ratio", sort=False)}
        found = {ratio: Said.of_table(task.target, planned.tests, rows) for ratio, rows in tables.items()}
        return Answered(found.pop(1.0), found, told["audits"], told["chosen"], n_before, run)
    said, audits, chosen, of_shares = _answered(planned, trained, shares)
    file.parent.mkdir(parents=True, exist_ok=True)
    # The answers come last: where they are, the audits are.
    told = {"audits": audits, "chosen": chosen}
    write_atomically(audit_file, json.dumps(told, indent=1, allow_nan=False).encode())
    tables = {ratio: found.table(task.key).assign(ratio=ratio) for ratio, found in ({1.0: said} | of_shares).items()}
    write_atomically(file, pd.concat(tables.values(), ignore_index=True).to_parquet())
    return Answered(said, of_shares, audits, chosen, n_before, run)


def _answered(
    planned: PlannedTask, trained: Sequence[Trained], shares: Mapping[float, Sequence[Trained]]
) -> tuple[Said, dict[str, Audit], Chosen, dict[float, Said]]:
    """Return what models and controls say, audits of their features, what closed forms chose, and what shares say."""
    task, tests, params = planned.task, planned.tests, planned.params
    said, found = Said(task.target, tests), defaultdict(list)
    pooling = pooling_of(task.windows, params.fit)
    for one in trained:
        test = tests[one.division.name]
        predictions = predictions_of(one.result.checkpoint, test, task.store, params, pooling)
        said.add(one.model.name, one.seed, one.division.name, predictions.said)
        found[one.model.name].append(audit_of(predictions.features, test, task.target))
    controls = Controls(
        task.key, task.target, task.windows, task.store, planned.start, params, params.closed(task.asked)
    )
    # Z-scores per person erase what persons differ in.
    zscored = Said(task.target, tests) if level_of(said) == "window" else None
    chosen: Chosen = {}
    for division in planned.divisions:
        for name, rows in controls.add_to(said, division, zscored).items():
            chosen.setdefault(name, []).extend(rows)
        for name, own in controls.audits(tests[division.name]).items():
            found[name] += own
    audits = mean_audits(found)
    for name, gap in ({} if zscored is None else transductive_gaps(said, zscored)).items():
        audits[name]["transductive_gap"] = gap
    scored = [share for share in planned.shares if share.ratio in shares]
    return said, audits, chosen, {one.ratio: _said_with(planned, one, shares[one.ratio], controls) for one in scored}


def _said_with(planned: PlannedTask, share: PlannedShare, trained: Sequence[Trained], controls: Controls) -> Said:
    """Return what models and controls of some of the training persons say."""
    task, params = planned.task, planned.params
    said, pooling = Said(task.target, planned.tests), pooling_of(task.windows, params.fit)
    for one in trained:
        test = planned.tests[one.division.name]
        predictions = predictions_of(one.result.checkpoint, test, task.store, params, pooling)
        said.add(one.model.name, one.seed, one.division.name, predictions.said)
    for left in share.thinned:
        controls.add_to(said, left.fitted)
    return said


def _usable(test: TestWindows, store: SignalStore, start: Checkpoint) -> TestWindows:
    """Leave out windows in which bad channels leave nothing to encode."""
    placed = test.windows.assign(place=np.arange(len(test.windows)))
    stores = {str(corpus): store for corpus in placed["corpus"].unique()}
    kept = with_channels_left(placed, stores, partial(rereference_for, start.header))
    return TestWindows(kept.drop(columns="place").reset_index(drop=True), test.truths[kept["place"].to_numpy()])


def _name_of(planned: PlannedTask, trained: Sequence[Trained]) -> str:
    """Return a name of all that decides what is said: start, trainings, test windows and their signals, code."""
    task, tests = planned.task, planned.tests
    windows = pd.concat([test.windows for test in tests.values()])
    return sha256_of(
        [
            task.key,
            window_hash(windows),
            task.store.signals_sha256(set(map(str, task.windows["recording_id"]))),
            [test.truths.tobytes().hex() for test in tests.values()],
            planned.start.identity(),
            [one.result.checkpoint.identity() for one in trained],
            task.asked.model_dump(mode="json"),
            {name: value for name, value in planned.params.identity().items() if name not in _SCORING},
            code_sha256("eegfm.jobs.finetune.finetune"),
        ]
    )[:16]
