"""Find the windows of a task that a probe predicts: labelled windows of test persons, in a fixed order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers, Scored
from eegfm.evaluation.linear import Ints
from eegfm.evaluation.tasks import ProbedTask
from eegfm.windows.runs import expand

ANSWERS = ("label", "target")
"""Columns of windows with answers: a class, or a number."""

_OF_PERSON = 0.9
"""Share of a number's variance that lies between persons, from which it is one of persons: ages differ a little between
the sessions of a person."""


@dataclass(frozen=True)
class Trials:
    """Windows of a task, in a fixed order, with their true answers and numbers of persons (identities) and folds."""

    task: ProbedTask
    windows: pd.DataFrame
    answers: Scored
    names: tuple[str, ...]
    persons: Ints
    folds: Ints


def trials_of_test_persons(
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    task: ProbedTask,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
) -> Trials:
    """Find the labelled windows of the task whose persons are in split ``test``.

    Args:
        windows: Runs of windows of the probed corpus. Those of the task have either classes or numbers.
        splits: One row per person.
        task: The task.
        usable: Function that leaves out windows that cannot be encoded.

    Raises:
        SplitError: Persons without a split, too few persons, classes or windows in a fold, or answers that do not vary.
    """
    of_cut = windows[windows["cut"] == task.cut]
    column = _answer_column(of_cut, task)
    of_task = of_cut[of_cut[column].notna()]
    tested = splits[(splits["split"] == "test") & (splits["corpus"] == task.corpus)]
    kept = windows_of(of_task, splits, tested, usable)
    names, persons = np.unique(kept["identity"].to_numpy(dtype=str), return_inverse=True)
    _refuse_few_persons(task, len(names), len(kept), of_task)
    answers = _classes(task, of_task, kept) if column == "label" else _numbers(task, kept, persons)
    _refuse_empty_fold(task, kept, tested)
    folds = np.unique(kept["fold"].to_numpy(), return_inverse=True)[1]
    return Trials(task, kept, answers, tuple(map(str, names)), persons, folds)


def windows_of(
    runs: pd.DataFrame, splits: pd.DataFrame, tested: pd.DataFrame, usable: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """Windows of the tested persons with their identities and folds, in a fixed order.

    Args:
        runs: Runs of windows.
        splits: One row per person.
        tested: The rows of the tested persons.
        usable: Function that leaves out windows that cannot be encoded.

    Raises:
        SplitError: A person has no split.
    """
    unknown = sorted(set(runs["person"]) - set(splits["person"]))
    if unknown:
        raise SplitError(f"{len(unknown)} persons have windows but no split (first: {unknown[0]}); split again")
    found = expand(usable(runs.merge(tested[["person", "identity", "fold"]], on="person")))
    return found.sort_values(["identity", "person", "recording_id", "start"], ignore_index=True)


def _answer_column(of_cut: pd.DataFrame, task: ProbedTask) -> str:
    """The column that the windows of a cut fill.

    Raises:
        SplitError: They have no answer, or several.
    """
    filled = [name for name in ANSWERS if name in of_cut and of_cut[name].notna().any()]
    if len(filled) > 1:
        raise SplitError(f"task {task.key}: windows of cut {task.cut!r} have classes and numbers; cut them again")
    # Without any window, the number of persons is refused with counts.
    return filled[0] if filled else "label"


def _refuse_few_persons(task: ProbedTask, n_persons: int, n_windows: int, of_task: pd.DataFrame) -> None:
    n_needed = 3 if task.fit.has_choice else 2
    if n_persons < n_needed:
        raise SplitError(
            f"task {task.key}: {n_windows} labelled windows of {n_persons} test persons "
            f"({of_task['n_windows'].sum()} windows of {of_task['person'].nunique()} persons in all splits); at least "
            f"{n_needed} persons are needed, one person held out and the others to train on and to choose on"
        )


def _classes(task: ProbedTask, of_task: pd.DataFrame, kept: pd.DataFrame) -> ClassAnswers:
    """Class of each window.

    Raises:
        SplitError: There is only one class, or a class of the task has no window of a test person.
    """
    # Cutting ensured that each class of the task has windows in the corpus, so all splits together have all classes.
    classes = np.unique(of_task["label"].to_numpy(dtype=str))
    if len(classes) < 2:
        raise SplitError(
            f"task {task.key}: {len(kept)} labelled windows in classes {list(map(str, classes))}; at least 2 classes "
            "are needed"
        )
    _refuse_absent_class(task, classes, of_task, kept)
    return ClassAnswers(np.searchsorted(classes, kept["label"].to_numpy(dtype=str)), tuple(map(str, classes)))


def _numbers(task: ProbedTask, kept: pd.DataFrame, persons: Ints) -> NumberAnswers:
    """Number of each window.

    Raises:
        SplitError: All numbers are equal.
    """
    numbers = kept["target"].to_numpy(dtype=np.float64)
    if np.ptp(numbers) == 0:
        raise SplitError(
            f"task {task.key}: all {len(kept)} windows of {persons.max() + 1} test persons have the number "
            f"{numbers[0]:g}; there is nothing to predict, probe more persons"
        )
    per_recording = kept.groupby("recording_id")["target"]
    is_per_recording = bool((per_recording.nunique() == 1).all() and (per_recording.size() > 1).any())
    of_person = (np.bincount(persons, numbers) / np.bincount(persons))[persons]
    between = of_person.var() / numbers.var()
    return NumberAnswers(numbers, is_of_person=is_per_recording and bool(between >= _OF_PERSON))


def _refuse_absent_class(task: ProbedTask, classes: Iterable[str], of_task: pd.DataFrame, kept: pd.DataFrame) -> None:
    """Refuse a class of the task that no test person has. A probe of the other classes would be another task.

    Raises:
        SplitError: Gives the number of windows of each class, for the test persons and for all persons.
    """
    n_all = of_task["n_windows"].groupby(of_task["label"].astype("str")).sum()
    n_kept = kept["label"].value_counts().reindex(n_all.index, fill_value=0)
    absent = [str(name) for name in classes if not n_kept[name]]
    if absent:
        per_class = ", ".join(f"{name} {n_kept[name]} of {n_all[name]}" for name in classes)
        raise SplitError(
            f"task {task.key}: no test person has a window of class {', '.join(map(repr, absent))} (windows of "
            f"test persons, of those in all splits: {per_class}); raise split.test_ratio, choose another "
            "split.salt, or cut a task without that class"
        )


def _refuse_empty_fold(task: ProbedTask, trials: pd.DataFrame, tested: pd.DataFrame) -> None:
    """Refuse a fold of several persons without a window. A fold of one person without a window is harmless.

    Raises:
        SplitError: Gives the number of windows in each fold.
    """
    folds = tested.drop_duplicates("identity")["fold"]
    n_windows = trials["fold"].value_counts().reindex(sorted(set(folds)), fill_value=0)
    is_one_each = not folds.duplicated().any()
    if (n_windows > 0).sum() < 2 or (not is_one_each and (n_windows == 0).any()):
        raise SplitError(
            f"task {task.key}: labelled windows per fold: {n_windows.tolist()}; every fold needs some, and there must "
            "be two; lower split.folds or choose another salt"
        )
