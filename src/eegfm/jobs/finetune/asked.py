"""Find the tasks of a finetuning, with all that each reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from eegfm.errors import ConfigError
from eegfm.evaluation.tasks import tasks_by_corpus
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask
from eegfm.jobs.finetune.divisions import Division, divide
from eegfm.jobs.finetune.said import TestWindows
from eegfm.jobs.train.finetuning import answered
from eegfm.splits.leakage import SplitTable
from eegfm.store.reader import SignalStore
from eegfm.targets import TargetSpec
from eegfm.windows.answers import checked_answers
from eegfm.windows.config import WindowParams
from eegfm.windows.runs import expand

STEP = "finetune"


@dataclass(frozen=True)
class AskedTask:
    """Hold a task on one corpus, with all that it reads."""

    key: str
    asked: FinetuneTask
    target: TargetSpec
    windows: pd.DataFrame
    store: SignalStore

    @property
    def corpus(self) -> str:
        """Return the name of the corpus."""
        return self.key.partition(".")[0]


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
    """Return the runs of windows that have an answer.

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
    divisions = divide(splits, task.windows["person"], params.evaluation, task.key, params.n_folds)
    return divisions, {one.name: _test_windows(task, one) for one in divisions}


def _test_windows(task: AskedTask, division: Division) -> TestWindows:
    tested = division.splits[division.splits["split"] == "test"]
    rows = expand(task.windows.merge(tested[["person", "identity"]], on="person"))
    rows = rows.sort_values(["identity", "person", "recording_id", "start"], ignore_index=True)
    SplitTable(division.splits).check_test(rows)
    where = f"task {task.key}, test persons ({division.name})"
    return TestWindows(rows, checked_answers(rows, task.target, where, to_learn=False))
