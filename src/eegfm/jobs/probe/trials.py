"""Find the windows of a task that a probe predicts, and those that it is fitted to, in a fixed order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers, Scored
from eegfm.evaluation.config import Evaluation
from eegfm.evaluation.linear import Ints, Rows
from eegfm.evaluation.summary import tested_persons
from eegfm.evaluation.tasks import ProbedTask
from eegfm.splits.leakage import TRAINED
from eegfm.splits.splits import NO_FOLD
from eegfm.windows.runs import expand

ANSWERS = ("label", "target")
"""Columns of windows with answers: a class, or a number."""

_OF_PERSON = 0.9
"""Share of a number's variance that lies between persons, from which it is one of persons: ages differ a little between
the sessions of a person."""


@dataclass(frozen=True)
class Trials:
    """Windows of a task, in a fixed order.

    Args:
        task: The task.
        windows: W windows, with columns ``identity``, ``split`` and ``fold``.
        answers: Their true answers.
        names: (P,) names of the persons (identities).
        persons: (W,) numbers of the persons.
        folds: (W,) fold in which each window is predicted, from 0; -1 for windows that are always trained on.
    """

    task: ProbedTask
    windows: pd.DataFrame
    answers: Scored
    names: tuple[str, ...]
    persons: Ints
    folds: Ints

    @property
    def is_tested(self) -> Rows:
        """(W,) True for windows that are predicted."""
        return self.folds >= 0

    @cached_property
    def tested(self) -> "Trials":
        """The windows that are predicted, with their persons alone."""
        if self.is_tested.all():
            return self
        assert isinstance(self.answers, Answers), "a retrieval predicts all windows"
        rows, persons, names = tested_persons(self.persons, self.names, self.folds)
        windows = self.windows[rows].reset_index(drop=True)
        return Trials(self.task, windows, self.answers.at(rows), names, persons, self.folds[rows])


def answered_trials(
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    task: ProbedTask,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
    evaluation: Evaluation = "cross_validation",
) -> Trials:
    """Find the labelled windows of the persons that a task tests, and of those that it trains on.

    Args:
        windows: Runs of windows of the probed corpus. Those of the task have either classes or numbers.
        splits: One row per person.
        task: The task.
        usable: Function that leaves out windows that cannot be encoded.
        evaluation: See ``ProbeParams``.

    Raises:
        SplitError: Persons without a split, too few persons, classes or windows in a fold, or answers that do not vary.
    """
    of_cut = windows[windows["cut"] == task.cut]
    column = _answer_column(of_cut, task)
    of_task = of_cut[of_cut[column].notna()]
    asked = _persons(splits[splits["corpus"] == task.corpus], evaluation)
    kept = windows_of(of_task, splits, asked, usable)
    names, persons = np.unique(kept["identity"].to_numpy(dtype=str), return_inverse=True)
    is_tested = kept["fold"].to_numpy() != NO_FOLD
    _refuse_few_persons(task, kept, of_task, evaluation)
    answers = (
        _classes(task, of_task, kept, is_tested) if column == "label" else _numbers(task, kept, persons, is_tested)
    )
    folds = np.full(len(kept), NO_FOLD)
    if evaluation == "cross_validation":
        _refuse_empty_fold(task, kept, asked)
    folds[is_tested] = np.unique(kept["fold"].to_numpy()[is_tested], return_inverse=True)[1]
    return Trials(task, kept, answers, tuple(map(str, names)), persons, folds)


def _persons(of_corpus: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """Rows of the persons that are tested, fold by fold or at once, and of those that are only trained on."""
    if evaluation == "cross_validation":
        return of_corpus[of_corpus["split"] == "test"]
    found = of_corpus[of_corpus["split"].isin(("test", *TRAINED))]
    return found.assign(fold=np.where(found["split"] == "test", 0, NO_FOLD))


def windows_of(
    runs: pd.DataFrame, splits: pd.DataFrame, asked: pd.DataFrame, usable: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """Windows of some persons with their identities, splits and folds, in a fixed order.

    Args:
        runs: Runs of windows.
        splits: One row per person.
        asked: The rows of these persons.
        usable: Function that leaves out windows that cannot be encoded.

    Raises:
        SplitError: A person has no split.
    """
    unknown = sorted(set(runs["person"]) - set(splits["person"]))
    if unknown:
        raise SplitError(f"{len(unknown)} persons have windows but no split (first: {unknown[0]}); split again")
    found = expand(usable(runs.merge(asked[["person", "identity", "split", "fold"]], on="person")))
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


def _refuse_few_persons(task: ProbedTask, kept: pd.DataFrame, of_task: pd.DataFrame, evaluation: Evaluation) -> None:
    is_tested = kept["fold"] != NO_FOLD
    n_persons, n_trained = (kept.loc[rows, "identity"].nunique() for rows in (is_tested, ~is_tested))
    n_needed = 3 if task.fit.has_choice else 2
    if evaluation == "split":
        if n_persons < 2 or n_trained < n_needed - 1:
            raise SplitError(
                f"task {task.key}: {n_trained} persons of splits train and validation and {n_persons} of split test "
                f"have labelled windows; at least {n_needed - 1} to train on and 2 to test are needed; add persons, or "
                "set probe.evaluation=cross_validation"
            )
    elif n_persons < n_needed:
        raise SplitError(
            f"task {task.key}: {len(kept)} labelled windows of {n_persons} test persons "
            f"({of_task['n_windows'].sum()} windows of {of_task['person'].nunique()} persons in all splits); at least "
            f"{n_needed} persons are needed, one person held out and the others to train on and to choose on"
        )


def _classes(task: ProbedTask, of_task: pd.DataFrame, kept: pd.DataFrame, is_tested: Rows) -> ClassAnswers:
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
    _refuse_absent_class(task, classes, of_task, kept[is_tested])
    return ClassAnswers(np.searchsorted(classes, kept["label"].to_numpy(dtype=str)), tuple(map(str, classes)))


def _numbers(task: ProbedTask, kept: pd.DataFrame, persons: Ints, is_tested: Rows) -> NumberAnswers:
    """Number of each window.

    Raises:
        SplitError: All numbers are equal.
    """
    numbers = kept["target"].to_numpy(dtype=np.float64)
    tested = numbers[is_tested]
    if np.ptp(tested) == 0:
        raise SplitError(
            f"task {task.key}: all {len(tested)} windows of {len(set(persons[is_tested]))} test persons have the "
            f"number {tested[0]:g}; there is nothing to predict, probe more persons"
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
