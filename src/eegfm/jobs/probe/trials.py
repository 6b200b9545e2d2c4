"""Find the windows that a probe classifies: labelled windows of test persons, in a fixed order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.linear import Ints
from eegfm.windows.runs import expand


@dataclass(frozen=True)
class Trials:
    """Windows to classify, in a fixed order, with numbers of classes, persons (identities) and folds."""

    windows: pd.DataFrame
    classes: tuple[str, ...]
    truth: Ints
    names: tuple[str, ...]
    persons: Ints
    folds: Ints


def trials_of_test_persons(
    windows: pd.DataFrame,
    splits: pd.DataFrame,
    params: ProbeParams,
    usable: Callable[[pd.DataFrame], pd.DataFrame],
) -> Trials:
    """Find the labelled windows of the task whose persons are in split ``test``.

    Args:
        windows: Runs of windows of the probed corpus.
        splits: One row per person.
        params: Parameters with the name of the task.
        usable: Function that leaves out windows that cannot be encoded.

    Raises:
        SplitError: Persons without a split, or too few persons, classes or windows in a fold.
    """
    of_task = windows[(windows["cut"] == params.task) & windows["label"].notna()]
    unknown = sorted(set(of_task["person"]) - set(splits["person"]))
    if unknown:
        raise SplitError(f"{len(unknown)} persons have windows but no split (first: {unknown[0]}); split again")
    tested = splits[splits["split"] == "test"]
    kept = expand(usable(of_task.merge(tested[["person", "identity", "fold"]], on="person")))
    kept = kept.sort_values(["identity", "person", "recording_id", "start"], ignore_index=True)
    names, persons = np.unique(kept["identity"].to_numpy(dtype=str), return_inverse=True)
    # Cutting ensured that each class of the task has windows in the corpus, so all splits together have all classes.
    classes = np.unique(of_task["label"].to_numpy(dtype=str))
    n_needed = 3 if len(params.lambdas) > 1 else 2
    if len(names) < n_needed or len(classes) < 2:
        raise SplitError(
            f"task {params.task!r}: {len(kept)} labelled windows of {len(names)} test persons in classes "
            f"{list(map(str, classes))} ({of_task['n_windows'].sum()} windows of {of_task['person'].nunique()} persons "
            f"in all splits); at least {n_needed} persons and 2 classes are needed, one person held out and the others "
            "to train on and to choose the penalty"
        )
    _refuse_absent_class(params.task, classes, of_task, kept)
    truth = np.searchsorted(classes, kept["label"].to_numpy(dtype=str))
    _refuse_empty_fold(kept, tested)
    folds = np.unique(kept["fold"].to_numpy(), return_inverse=True)[1]
    return Trials(kept, tuple(map(str, classes)), truth, tuple(map(str, names)), persons, folds)


def _refuse_absent_class(task: str, classes: Iterable[str], of_task: pd.DataFrame, kept: pd.DataFrame) -> None:
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
            f"task {task!r}: no test person has a window of class {', '.join(map(repr, absent))} (windows of "
            f"test persons, of those in all splits: {per_class}); raise split.test_ratio, choose another "
            "split.salt, or cut a task without that class"
        )


def _refuse_empty_fold(trials: pd.DataFrame, tested: pd.DataFrame) -> None:
    """Refuse a fold of several persons without a window. A fold of one person without a window is harmless.

    Raises:
        SplitError: Gives the number of windows in each fold.
    """
    folds = tested.drop_duplicates("identity")["fold"]
    n_windows = trials["fold"].value_counts().reindex(sorted(set(folds)), fill_value=0)
    is_one_each = not folds.duplicated().any()
    if (n_windows > 0).sum() < 2 or (not is_one_each and (n_windows == 0).any()):
        raise SplitError(
            f"labelled windows per fold: {n_windows.tolist()}; every fold needs some, and there must be two; lower "
            "split.folds or choose another salt"
        )
