"""Answers of windows: as arrays, and refused where a task could not be learnt from them."""

import logging

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import SplitError
from eegfm.targets import TargetSpec
from eegfm.windows.answers import answer_counts, checked_answers, without_answers

BINARY = TargetSpec("binary", ("normal", "abnormal"))
MULTICLASS = TargetSpec("multiclass", ("a", "b", "c"))
MULTILABEL = TargetSpec("multilabel", outputs=("x", "y"))
MULTIOUTPUT = TargetSpec("multioutput", ("a", "b", "c"), ("x", "y"))
AGE = TargetSpec("regression", unit="years")
HERE = "task t, split train"


def table(n_windows: list[int] | None = None, **columns: object) -> pd.DataFrame:
    found = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    if "target" in found:
        found = found.astype({"target": "float64"})
    return found if n_windows is None else found.assign(n_windows=np.array(n_windows, dtype=np.int32))


def test_classes_become_numbers_in_the_order_of_the_task() -> None:
    windows = table([3, 1, 2, 5], label=["b", None, "c", "a"])
    truths = checked_answers(windows, MULTICLASS, HERE)
    assert truths.dtype == np.int64
    assert truths.tolist() == [1, -1, 2, 0]
    assert answer_counts(MULTICLASS, truths).tolist() == [1, 1, 1]
    assert answer_counts(MULTICLASS, truths, windows["n_windows"].to_numpy()).tolist() == [5, 3, 2]


def test_answers_are_taken_off_windows() -> None:
    windows = pd.DataFrame({"start": [0], "label": ["a"], "target": [1.0], "targets": [None], "n_samples": [4]})
    assert [*without_answers(windows).columns] == ["start", "n_samples"]
    assert [*without_answers(windows[["start", "label"]]).columns] == ["start"]


def test_numbers_and_outputs() -> None:
    ages = checked_answers(table(target=[3.5, np.nan, 7.0]), AGE, HERE)
    assert ages.dtype == np.float32
    np.testing.assert_array_equal(ages, [[3.5], [np.nan], [7.0]])
    rows = [np.array(row, dtype=np.float32) for row in ([0, 1], [1, np.nan], [1, 0])]
    labels = checked_answers(table(targets=[*rows, None]), MULTILABEL, HERE)
    np.testing.assert_array_equal(labels, [[0, 1], [1, np.nan], [1, 0], [np.nan, np.nan]])
    assert labels.dtype == np.float32
    assert answer_counts(MULTILABEL, labels).tolist() == [[1, 2], [1, 1]]
    classes = checked_answers(table(targets=[[0, 2], [1, np.nan], [1, 0]]), MULTIOUTPUT, HERE)
    assert classes.dtype == np.int64
    assert classes.tolist() == [[0, 2], [1, -1], [1, 0]]
    assert answer_counts(MULTIOUTPUT, classes).tolist() == [[1, 2, 0], [1, 0, 1]]


def test_an_output_that_lacks_a_class_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        checked_answers(table(targets=[[0, 2], [1, 2], [1, 0]]), MULTIOUTPUT, HERE)
    assert caplog.messages == [f"{HERE}: 2 of 2 outputs lack classes (x: c; y: b)"]


TWO = TargetSpec("regression", outputs=("x", "y"))


@pytest.mark.parametrize(
    ("windows", "target", "says"),
    [
        (table([4, 2], label=["normal", "normal"]), BINARY,
         "no window of class 'abnormal' (windows: normal 6, abnormal 0); add persons who have it, split otherwise"),
        (table(label=["a", "b", "d", "d"]), MULTICLASS,
         "2 of 4 rows of windows have a label that is no class of the task ('d' 2); classes: a, b, c; cut"),
        (table(target=[1.0, 2.0]), BINARY,
         "2 rows of windows have no answer in column 'label'; their answers stand in column 'target', so they are of "
         "another task; cut them again, or name another cut"),
        (table(label=[None, None]), BINARY, "2 rows of windows have no answer in column 'label'; cut them again"),
        (table(target=[1.0, np.inf, 2.0]), AGE,
         "1 of 3 rows of windows have an answer that the task does not have (first: inf); allowed: finite numbers"),
        (table(target=[4.0, np.nan, 4.0]), AGE,
         "the number is 4 everywhere (2 of 3 rows of windows are known), so nothing can be learnt"),
        (table(targets=[[1, 2], [2, 2]]), TWO, "the number of output 'y' is 2 everywhere (2 of 2 rows"),
        (table(targets=[[1, np.nan], [2, np.nan]]), TWO, "the number of output 'y' is unknown everywhere (0 of 2"),
        (table([7, 2], targets=[[1, 0], [0, 0]]), MULTILABEL,
         "not both answers of output 'y' (windows: x no 2 yes 7, y no 9 yes 0)"),
        (table(targets=[[1, 0.5], [0, 0]]), MULTILABEL,
         "1 of 2 rows of windows have an answer that the task does not have (first: 0.5 of output 'y'); allowed: 0"),
        (table(targets=[[1, 3], [0, 0]]), MULTIOUTPUT, "(first: 3 of output 'y'); allowed: the numbers of classes"),
        (table(targets=[[1, 1], [0, 0]]), MULTIOUTPUT, "no window of class 'c' (windows: a 2, b 2, c 0)"),
        (table(targets=[[1, 1, 0], [0, 0, 1]]), MULTILABEL, "windows have 3 answers each, the task asks for 2; cut"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_is_refused_in_one_line(windows: pd.DataFrame, target: TargetSpec, says: str) -> None:
    with pytest.raises(SplitError) as raised:
        checked_answers(windows, target, HERE)
    assert str(raised.value).startswith(f"{HERE}: ")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_windows_that_are_only_scored_may_lack_a_class_but_have_no_other() -> None:
    assert checked_answers(table(label=["a", "a"]), MULTICLASS, HERE, to_learn=False).tolist() == [0, 0]
    assert checked_answers(table(target=[4.0, 4.0]), AGE, HERE, to_learn=False).tolist() == [[4.0], [4.0]]
    with pytest.raises(SplitError, match="no class of the task"):
        checked_answers(table(label=["a", "d"]), MULTICLASS, HERE, to_learn=False)
