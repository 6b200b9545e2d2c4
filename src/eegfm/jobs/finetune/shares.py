"""Persons whose answers are known where only a share of the training persons is trained on.

Shapes: W windows, P persons, K answers.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.evaluation.label_efficiency import n_of_share, order_of_persons
from eegfm.jobs.finetune.asked import AskedTask
from eegfm.jobs.finetune.divisions import Division
from eegfm.splits.leakage import TRAINED
from eegfm.targets import TargetSpec
from eegfm.windows.answers import checked_answers

_TRAIN = "train"


@dataclass(frozen=True)
class Thinned:
    """Hold a division in which some training persons are left out.

    Args:
        task: What is asked, without the windows of these persons.
        division: Who is trained on and tested, as it was.
        fitted: The same for closed forms. They are fitted to selecting persons, too, of whom the same share is left.
        n_persons: Persons that are trained on.
        n_fitted: Persons that closed forms are fitted to.
    """

    task: AskedTask
    division: Division
    fitted: Division
    n_persons: int
    n_fitted: int


def thinned(task: AskedTask, division: Division, ratio: float, seed: int) -> Thinned:
    """Leave a share of the training persons of a division.

    The persons of a smaller share are among those of every larger one. Answers of test persons are not looked at.

    Args:
        task: What is asked, of which windows.
        division: Who is trained on and tested.
        ratio: The share, above 0 and at most 1.
        seed: Seed of the order of persons.
    """
    people = division.splits[["person", "identity", "split"]]
    rows = task.windows.merge(people[people["split"].isin(TRAINED)], on="person")
    left_out: dict[str, set[str]] = {}
    n_left = {}
    for split in TRAINED:
        own = rows[rows["split"] == split].reset_index(drop=True)
        order = _ordered(own, task, seed)
        n_left[split] = n_of_share(ratio, len(order))
        left_out[split] = set(order[n_left[split] :])
    untrained = people.loc[people["identity"].isin(left_out[_TRAIN]), "person"]
    unfitted = people["identity"].isin(set.union(*left_out.values()))
    splits = division.splits.assign(split=division.splits["split"].mask(unfitted, "excluded"))
    return Thinned(
        replace(
            task,
            key=f"{task.key} with {ratio:.3g} of the training persons",
            windows=task.windows[~task.windows["person"].isin(untrained)],
        ),
        division,
        replace(division, splits=splits),
        n_left[_TRAIN],
        sum(n_left.values()),
    )


def _ordered(rows: pd.DataFrame, task: AskedTask, seed: int) -> list[str]:
    """Return identities of the persons of some windows, in the order in which shares take them."""
    if rows.empty:
        return []
    names, persons = np.unique(rows["identity"].to_numpy(dtype=str), return_inverse=True)
    truths = checked_answers(rows, task.target, f"task {task.key}", to_learn=False)
    has_answer = _answers_of_persons(task.target, truths, persons, len(names))
    return [str(names[k]) for k in order_of_persons([*map(str, names)], has_answer, seed)]


def _answers_of_persons(
    target: TargetSpec, truths: NDArray[np.generic], persons: NDArray[np.int64], n_persons: int
) -> NDArray[np.bool_]:
    """(P, K) which answers occur among the windows of each person: each class of each output. Numbers are none."""
    columns = truths.reshape(len(truths), -1)
    n_classes = {"regression": 0, "multilabel": 2}.get(target.kind, len(target.classes))
    found = np.zeros((n_persons, columns.shape[1], n_classes), dtype=bool)
    for number in range(n_classes):
        rows, outputs = np.nonzero(columns == number)
        found[persons[rows], outputs, number] = True
    return found.reshape(n_persons, -1)
