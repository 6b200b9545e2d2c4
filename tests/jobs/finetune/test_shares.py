"""Who is left where a share of the training persons is trained on. No training, no signals."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from answered_store import TARGETS, answered_windows
from eegfm.jobs.finetune.asked import AskedTask
from eegfm.jobs.finetune.config import FinetuneParams, FinetuneTask
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.shares import thinned
from eegfm.splits.leakage import SplitTable
from eegfm.targets import TargetSpec
from person_tables import split_table

RATIOS = (0.01, 0.1, 0.25, 0.5, 1.0)
NOBODY: Any = None  # no signals are read


def asked(windows: pd.DataFrame, target: TargetSpec = TARGETS["binary"]) -> AskedTask:
    return AskedTask("mine.t", FinetuneTask(name="t"), target, windows, NOBODY)


def of_many(n_train: int = 20, n_validation: int = 10) -> tuple[AskedTask, Division]:
    """Persons of one class each: one in five is ``open``. Four more are tested."""
    n = n_train + n_validation + 4
    split_of = dict.fromkeys([f"mine:p{k:02d}" for k in range(n)], "test")
    names = list(split_of)
    split_of |= dict.fromkeys(names[:n_train], "train") | dict.fromkeys(names[n_train:-4], "validation")
    first = answered_windows().query("cut == 'binary' and start < 800 and person == 'mine:p00'")
    labels = {name: "open" if k % 5 == 0 else "closed" for k, name in enumerate(names)}
    tables = [first.assign(person=name, recording_id=f"{name}:r", label=labels[name]) for name in names]
    return asked(pd.concat(tables, ignore_index=True)), Division("split", split_table(split_of))


def kept(task: AskedTask, division: Division, split: str) -> set[str]:
    people = division.splits.loc[division.splits["split"] == split, "person"]
    return {*task.windows["person"]} & {*people}


def test_shares_are_nested_and_who_selects_or_is_tested_stays() -> None:
    task, division = of_many()
    before: set[str] = set()
    for ratio, n_train, n_fitted in zip(RATIOS, (0, 2, 5, 10, 20), (0, 3, 7, 15, 30), strict=True):
        left = thinned(task, division, ratio, 0)
        now = kept(left.task, division, "train")
        assert before <= now
        assert len(now) == left.n_persons == n_train
        assert left.division is division
        assert len(kept(left.task, division, "validation")) == 10
        fitted = {split: kept(task, left.fitted, split) for split in ("train", "validation", "test", "excluded")}
        assert fitted["train"] == now
        assert len(fitted["validation"]) == n_fitted - n_train
        assert left.n_fitted == n_fitted
        assert fitted["test"] == kept(left.task, division, "test") == kept(task, division, "test")
        assert len(fitted["excluded"]) == 30 - n_fitted
        SplitTable(left.fitted.splits)
        before = now
    assert kept(thinned(task, division, 0.5, 0).task, division, "train") != kept(
        thinned(task, division, 0.5, 1).task, division, "train"
    )
    pd.testing.assert_frame_equal(thinned(task, division, 1.0, 0).task.windows, task.windows)
    pd.testing.assert_frame_equal(thinned(task, division, 1.0, 0).fitted.splits, division.splits)


@pytest.mark.parametrize("seed", range(5))
def test_the_rare_class_is_there_from_the_beginning(seed: int) -> None:
    task, division = of_many()
    windows = thinned(task, division, 0.2, seed).task.windows
    classes = (
        windows[windows["person"].isin(kept(asked(windows), division, "train"))].groupby("person")["label"].first()
    )
    assert classes.value_counts().to_dict() == {"open": 2, "closed": 2}


def test_answers_of_test_persons_and_other_persons_move_nobody() -> None:
    task, division = of_many()
    tested = kept(task, division, "test")
    others = task.windows["label"].mask(task.windows["person"].isin(tested), "open")
    for changed in (task.windows.assign(label=others), task.windows[~task.windows["person"].isin(tested)]):
        one, two = (thinned(asked(w), division, 0.3, 0) for w in (task.windows, changed))
        assert kept(one.task, division, "train") == kept(two.task, division, "train")
        assert list(one.fitted.splits["split"]) == list(two.fitted.splits["split"])


def test_a_person_under_two_names_stays_together() -> None:
    task, division = of_many()
    splits = division.splits.assign(identity=division.splits["identity"].replace("mine:p01", "mine:p02"))
    for seed in range(5):
        left = thinned(task, Division("split", splits), 0.5, seed)
        own = kept(left.task, division, "train") & {"mine:p01", "mine:p02"}
        assert len(own) in (0, 2)
        assert left.n_persons == 10 == round(19 / 2)
        SplitTable(left.fitted.splits)


@pytest.mark.parametrize("kind", ["multilabel", "multioutput", "regression", "regressions", "multiclass"])
def test_every_kind_of_answer_can_be_thinned(kind: str) -> None:
    table = answered_windows()
    splits = split_table({name: "train" if k < 8 else "test" for k, name in enumerate(dict.fromkeys(table["person"]))})
    task, division = asked(table[table["cut"] == kind], TARGETS[kind]), Division("fold 0", splits)
    left = thinned(task, division, 0.25, 0)
    assert (left.n_persons, left.n_fitted) == (2, 2)
    assert len(kept(left.task, division, "train")) == 2


def test_outputs_with_unknown_answers_tell_persons_apart() -> None:
    """The only two persons who have a yes of an output come first; an unknown answer is none."""
    target, names = TargetSpec("multilabel", ("no", "yes"), ("a", "b")), [f"mine:p{k:02d}" for k in range(12)]
    answers = [np.array([k in (3, 7), np.nan], dtype=np.float32) for k in range(12)]
    first = answered_windows().query("cut == 'multilabel' and start == 0 and person == 'mine:p00'")
    rows = [first.assign(person=name, recording_id=f"{name}:r") for name in names]
    task = asked(pd.concat(rows, ignore_index=True).assign(targets=answers), target)
    left = thinned(task, Division("split", split_table(dict.fromkeys(names, "train"))), 1 / 3, 0)
    assert {"mine:p03", "mine:p07"} < {*left.task.windows["person"]}


def test_shares_that_make_no_sense_are_refused() -> None:
    for ratios, message in (([0.5, 0.5], r"label_ratios 0\.5 is listed twice"), ([0], "greater than 0"), ([1.5], "1")):
        with pytest.raises(ValidationError, match=message):
            FinetuneParams(label_ratios=ratios)


def test_only_shares_below_the_whole_change_what_is_said() -> None:
    plain, whole, half, other = (
        FinetuneParams(label_ratios=ratios, label_seed=seed).identity()
        for ratios, seed in (((), 0), ((1.0,), 3), ((0.5, 1.0), 0), ((0.5,), 1))
    )
    assert plain == whole
    assert plain != half != other
