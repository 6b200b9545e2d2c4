"""Whether a label follows the order of recording: then whatever drifts with time tells of the label."""

from typing import Any

import numpy as np
import pandas as pd

from eegfm.evaluation.answers import ClassAnswers
from eegfm.evaluation.linear import Ints


def label_order(windows: pd.DataFrame, persons: Ints, answers: ClassAnswers) -> dict[str, Any]:
    """Find the two classes that come most often one whole class after the other.

    Recordings of a person are taken in the order of their names, which is that of recording wherever names count runs.

    Args:
        windows: (W rows) ``recording_id`` and ``start``.
        persons: (W,) person numbers.
        answers: (W,) classes.

    Returns:
        ``label_follows_order``: whether, in every person who has both, all windows of one class come before all of the
        other, the same class first in each. ``label_order``: the ``first`` and ``then`` class of that pair, the
        ``share`` of persons in whom it is so, and their number ``n_persons``; None if no person has two classes.
    """
    places = np.lexsort((windows["start"].to_numpy(np.int64), windows["recording_id"].to_numpy(dtype=str)))
    place_of = np.empty(len(places), dtype=np.int64)
    place_of[places] = np.arange(len(places))
    first, last = _ends(place_of, persons, answers)
    n_classes, best, best_share = len(answers.classes), None, -1.0
    for a in range(n_classes):
        for b in range(n_classes):
            has_both = (last[:, a] >= 0) & (last[:, b] >= 0)
            if a == b or not has_both.any():
                continue
            share = float((last[has_both, a] < first[has_both, b]).mean())
            if share > best_share:
                names, best_share = {"first": answers.classes[a], "then": answers.classes[b]}, share
                best = {**names, "share": share, "n_persons": int(has_both.sum())}
    return {"label_follows_order": best_share == 1.0, "label_order": best}


def _ends(places: Ints, persons: Ints, answers: ClassAnswers) -> tuple[Ints, Ints]:
    """(P, K) first and last place of each class in each person; -1 as the last of a class that the person lacks."""
    shape = (int(persons.max()) + 1, len(answers.classes))
    first, last = np.full(shape, len(places), dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    np.minimum.at(first, (persons, answers.numbers), places)
    np.maximum.at(last, (persons, answers.numbers), places)
    return first, last
