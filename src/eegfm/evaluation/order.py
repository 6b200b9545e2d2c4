"""Tell whether a label follows the order of recording: then whatever drifts with time tells of the label."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from eegfm.evaluation.answers import ClassAnswers
from eegfm.evaluation.linear import Ints


def label_order(windows: pd.DataFrame, persons: Ints, answers: ClassAnswers) -> dict[str, Any]:
    """Find the two classes that most often come one whole class after the other.

    Recordings of a person are taken in the order of their names, which is that of recording wherever names count runs.

    Args:
        windows: (W rows) ``recording_id`` and ``start``.
        persons: (W,) person numbers.
        answers: (W,) classes.

    Returns:
        ``label_follows_order``: whether, in every person who has both, all windows of one class come before all of the
        other, whichever is first. ``label_order``: the two classes, ``first`` and ``then`` as in most persons; the
        ``share`` of persons in whom they come in this order, the ``share_either_way`` in whom they come in this order
        or the other, and the number ``n_persons`` of persons who have both; None if no person has two classes. Drift
        tells of the label as far as ``share`` is above a half.
    """
    places = np.lexsort((windows["start"].to_numpy(np.int64), windows["recording_id"].to_numpy(dtype=str)))
    place_of = np.empty(len(places), dtype=np.int64)
    place_of[places] = np.arange(len(places))
    first, last = _ends(place_of, persons, answers)
    found = []
    for a, b in combinations(range(len(answers.classes)), 2):
        has_both = (last[:, a] >= 0) & (last[:, b] >= 0)
        if has_both.any():
            n_both = int(has_both.sum())
            forth = int((last[has_both, a] < first[has_both, b]).sum())
            back = int((last[has_both, b] < first[has_both, a]).sum())
            order = (a, b) if forth >= back else (b, a)
            found.append(((forth + back) / n_both, max(forth, back) / n_both, order, n_both))
    if not found:
        return {"label_follows_order": False, "label_order": None}
    either, share, (one, two), n_persons = max(found, key=lambda pair: pair[:2])
    names = {"first": answers.classes[one], "then": answers.classes[two]}
    order_of_label = {**names, "share": share, "share_either_way": either, "n_persons": n_persons}
    return {"label_follows_order": either == 1.0, "label_order": order_of_label}


def _ends(places: Ints, persons: Ints, answers: ClassAnswers) -> tuple[Ints, Ints]:
    """(P, K) first and last place of each class in each person; -1 as the last of a class that the person lacks."""
    shape = (int(persons.max()) + 1, len(answers.classes))
    first, last = np.full(shape, len(places), dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    np.minimum.at(first, (persons, answers.numbers), places)
    np.maximum.at(last, (persons, answers.numbers), places)
    return first, last
