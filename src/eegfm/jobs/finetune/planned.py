"""Plan all that a finetuning is going to do for a task, before the first training."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.errors import SplitError
from eegfm.jobs.finetune.ahead import check_ahead, check_fits
from eegfm.jobs.finetune.asked import AskedTask, asked_tasks, divisions_of
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.said import TestWindows
from eegfm.jobs.finetune.shares import Thinned, thinned
from eegfm.jobs.finetune.trained import Model, models_of
from eegfm.jobs.probe.compatibility import check_signals
from eegfm.jobs.probe.exposure import Exposure, refuse_pretrained
from eegfm.jobs.train.finetuning import FinetuningTask
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore
from eegfm.windows.config import WindowParams

logger = logging.getLogger(__name__)


class Training(NamedTuple):
    """Name a training that is to be done."""

    model: Model
    division: Division
    seed: int


@dataclass(frozen=True)
class PlannedShare:
    """Hold a share of the training persons that all models are trained on.

    Args:
        ratio: The share; 1 is the run itself, which is not trained again.
        thinned: By division, who is left.
        trainings: The trainings on them, division by division and seed by seed.
        too_few: Says why there are none, where persons are too few.
    """

    ratio: float
    thinned: list[Thinned]
    trainings: list[Training]
    too_few: str = ""


@dataclass(frozen=True)
class PlannedTask:
    """Hold a task with all that decides what its models will say of the test windows.

    Args:
        task: What is asked, of which windows.
        divisions: Who is trained on and tested.
        tests: By division, its test windows.
        exposure: See ``exposure_of``.
        trainings: All trainings, division by division and seed by seed.
        params: All choices.
        start: The encoder.
        shares: Shares of the training persons, the smallest first; see ``FinetuneParams.label_ratios``.
    """

    task: AskedTask
    divisions: list[Division]
    tests: dict[str, TestWindows]
    exposure: Exposure
    trainings: list[Training]
    params: FinetuneParams
    start: Checkpoint
    shares: tuple[PlannedShare, ...] = ()


def planned_tasks(
    params: FinetuneParams,
    start: Checkpoint,
    stores: Mapping[str, SignalStore],
    windows: Mapping[str, pd.DataFrame],
    cuts: Mapping[str, WindowParams],
    splits: pd.DataFrame,
) -> list[PlannedTask]:
    """Plan all tasks. For arguments see ``eegfm.jobs.finetune.finetune.finetune``.

    Raises:
        EegfmError: Tables, parameters and encoder do not fit.
    """
    asked = asked_tasks(params, stores, windows, cuts)
    divided = [(task, *divisions_of(task, splits, params)) for task in asked]
    for store in stores.values():
        check_signals(start.header, store)
    exposures = [exposure_of(tests, splits, start, task.store, params) for task, _, tests in divided]
    planned = [
        PlannedTask(task, divisions, tests, exposure, _trainings(task, divisions, params, start), params, start)
        for (task, divisions, tests), exposure in zip(divided, exposures, strict=True)
    ]
    for one in planned:
        models = {training.model.name: training.model for training in one.trainings}
        check_ahead(one.task, one.divisions, models.values(), params, start)
    # Shares come last: what is refused of a share is then due to the share.
    return [replace(one, shares=tuple(_share(one, ratio) for ratio in sorted(params.label_ratios))) for one in planned]


def _share(planned: PlannedTask, ratio: float) -> PlannedShare:
    """Plan the trainings on a share of the training persons; that they are too few is no error."""
    task, params, start = planned.task, planned.params, planned.start
    left = [thinned(task, division, ratio, params.label_seed) for division in planned.divisions]
    if ratio == 1:
        return PlannedShare(ratio, left, [])
    try:
        if not all(one.n_persons for one in left):
            raise SplitError(f"task {task.key}: no training person in a division; take a larger share, or more persons")
        check_fits(task, [one.fitted for one in left], params, start)
        trainings = [made for one in left for made in _trainings(one.task, [one.division], params, start)]
    except SplitError as error:
        logger.warning("%s: no scores with %g of the training persons: %s", task.key, ratio, error)
        return PlannedShare(ratio, left, [], str(error))
    logger.info("%s: %d trainings more, with %g of the training persons", task.key, len(trainings), ratio)
    return PlannedShare(ratio, left, trainings)


def _trainings(task: AskedTask, divisions: list[Division], params: FinetuneParams, start: Checkpoint) -> list[Training]:
    """Plan the trainings of a task: answers of training persons are looked at here."""
    found = []
    for division in divisions:
        given = FinetuningTask(task.key, task.target, task.windows, division.splits, {task.corpus: task.store})
        for seed in params.seeds:
            for model in models_of(params, task.asked, given, start, seed):
                found.append(Training(model, division, seed))
    return found


def exposure_of(
    tests: dict[str, TestWindows], splits: pd.DataFrame, start: Checkpoint, store: SignalStore, params: FinetuneParams
) -> Exposure:
    """Find test persons that the encoder was, or may have been, trained on.

    Raises:
        SplitError: There are some, and that is not allowed.
    """
    windows = pd.concat([test.windows for test in tests.values()])
    tested = splits[splits["identity"].isin(windows["identity"])]
    return refuse_pretrained(
        SplitTable(splits),
        windows,
        start.header,
        {entry.recording_id: entry.facts.get("signal_hashes", ()) for entry in store.entries},
        keys=[str(key) for keys in tested["keys"] for key in keys],
        n_persons=windows["identity"].nunique(),
        is_allowed=params.allow_pretrained_persons,
        key="finetune.allow_pretrained_persons",
    )
