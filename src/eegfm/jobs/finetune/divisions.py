"""Divide persons: who is trained on, who selects and who is tested, once or fold by fold."""

from dataclasses import dataclass

import pandas as pd

from eegfm.errors import SplitError
from eegfm.jobs.finetune.config import Evaluation
from eegfm.splits.splits import NO_FOLD

_FEWEST_FOLDS = 3
ONCE = "split"


@dataclass(frozen=True)
class Division:
    """Hold a splits table for one training, and its name.

    Args:
        name: ``split``, or ``fold 0``, …
        splits: Persons: ``train`` is trained on, ``validation`` selects, ``test`` is scored.
    """

    name: str
    splits: pd.DataFrame

    @property
    def is_fold(self) -> bool:
        """Tell whether it is one of several of a cross-validation."""
        return self.name != ONCE


def divide(
    splits: pd.DataFrame, persons: "pd.Series[str]", evaluation: Evaluation, key: str, n_folds: int = 5
) -> list[Division]:
    """Divide persons for the trainings on a task.

    A cross-validation holds out one fold of split ``test`` after the other. The next fold selects, together with split
    ``validation``. Everybody else who may be trained on is trained on. Where there are more folds than ``n_folds``, as
    with one for each person, several are held out together.

    Args:
        splits: See ``eegfm.splits.splits``.
        persons: Persons of the windows that have an answer.
        evaluation: See ``FinetuneParams``.
        key: Name of the task, for messages.
        n_folds: See ``FinetuneParams``.

    Raises:
        SplitError: Nobody is to be trained on or tested, or folds are too few or too many.
    """
    of_task = splits[splits["person"].isin(persons)]
    has_training = bool((of_task["split"] == "train").any())
    if evaluation == "split" or (evaluation == "auto" and has_training):
        if not has_training or not (of_task["split"] == "test").any():
            counts = of_task["split"].value_counts().to_dict()
            raise SplitError(
                f"task {key}: persons with an answer by split: {counts}; somebody in train and somebody in test is "
                "needed; change split.test_ratio, or set finetune.evaluation to cross_validation"
            )
        return [Division(ONCE, splits)]
    folds = sorted(set(of_task.loc[of_task["split"] == "test", "fold"]))
    if len(folds) < _FEWEST_FOLDS:
        raise SplitError(
            f"task {key}: the test persons with an answer have {len(folds)} folds; a cross-validation by training "
            f"takes {_FEWEST_FOLDS} or more: one to test, the next to select, and others to train on; add persons, or "
            "raise split.folds"
        )
    groups = [folds[k::n_folds] for k in range(min(n_folds, len(folds)))]
    return [_held_out(splits, groups, k) for k in range(len(groups))]


def _held_out(splits: pd.DataFrame, groups: list[list[int]], k: int) -> Division:
    is_test = splits["split"] == "test"
    selects = is_test & splits["fold"].isin(groups[(k + 1) % len(groups)])
    trains = is_test & ~selects & ~splits["fold"].isin(groups[k])
    changed = splits.assign(
        split=splits["split"].mask(selects, "validation").mask(trains, "train"),
        fold=splits["fold"].mask(selects | trains, NO_FOLD),
    )
    return Division(f"fold {k}", changed)
