"""Audit of features: how much of them is the person, and how much the answer.

Shapes: W windows, P persons, F features.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.linear import Floats, Ints, Standardizer

APART = -1
"""Half of a window that is in neither: it shares samples with the other half, or its person has no second half."""


def identity_audit(
    features: NDArray[np.floating], persons: Ints, halves: Ints, answers: Answers | None
) -> dict[str, float | None]:
    """Measure how much features tell of the person.

    The variance of each standardised feature is split into that between the means of persons and that within them;
    shares are means over features that vary. ``by_chance`` is the share that noise would have. Persons are told apart
    by the nearest mean of the windows in the other half (squared distance of standardised features), each half once.

    Args:
        features: (W, F), or (W, L, F) of several layers, of which the last is looked at; NaN for unknown.
        persons: (W,) person numbers.
        halves: (W,) see ``halves_of_persons``.
        answers: True answers; None where the windows have none.

    Returns:
        ``between_persons`` and ``between_persons_by_chance`` (shares of the variance), ``of_answer`` (share between the
        classes, or explained by the number; None without answers), ``accuracy`` of telling persons apart (mean over
        persons) and its ``chance``; both None if fewer than two persons have two halves.
    """
    last = features[:, -1] if features.ndim == 3 else features
    x = Standardizer.fit(last)(last)
    n_persons = len(np.unique(persons))
    accuracy, chance = _told_apart(last, persons, halves)
    return {
        "between_persons": _share_between(x, persons),
        "between_persons_by_chance": (n_persons - 1) / max(len(x) - 1, 1),
        "of_answer": None if answers is None else _share_of_answer(x, answers),
        "accuracy": accuracy,
        "chance": chance,
    }


def halves_of_persons(windows: pd.DataFrame, persons: Ints) -> Ints:
    """Divide the windows of each person into two halves of which neither says anything about the other by nearness.

    A person of several recordings is divided by recordings, in the order of their names; one of a single recording at
    the middle of its windows in time. Windows that reach over that middle are in neither half.

    Args:
        windows: (W rows) ``recording_id``, ``start`` and ``n_samples``.
        persons: (W,) person numbers.

    Returns:
        (W,) 0 or 1, and -1 for windows in neither half.
    """
    recordings = windows["recording_id"].to_numpy(dtype=str)
    starts = windows["start"].to_numpy(np.int64)
    stops = starts + windows["n_samples"].to_numpy(np.int64)
    halves = np.full(len(windows), APART, dtype=np.int64)
    for person in np.unique(persons):
        mine = np.flatnonzero(persons == person)
        names = np.unique(recordings[mine])
        if len(names) > 1:
            halves[mine] = np.isin(recordings[mine], names[len(names) // 2 :])
            continue
        middle = np.sort(starts[mine])[len(mine) // 2]
        halves[mine[stops[mine] <= middle]] = 0
        halves[mine[starts[mine] >= middle]] = 1
        if not (halves[mine] == 0).any():
            halves[mine] = APART
    return halves


def _share_between(x: Floats, groups: Ints) -> float:
    """Mean over features of the variance between the means of groups, as a share of the whole variance."""
    varies = x.var(axis=0) > 0
    if not varies.any():
        return 0.0
    means, counts = _means(x[:, varies], groups)
    between = counts @ (means - x[:, varies].mean(axis=0)) ** 2 / len(x)
    return float((between / x[:, varies].var(axis=0)).mean())


def _share_of_answer(x: Floats, answers: Answers) -> float:
    if isinstance(answers, ClassAnswers):
        return _share_between(x, answers.numbers)
    y = np.asarray(answers.values, dtype=np.float64)
    y, x = y - y.mean(), (x - x.mean(axis=0))[:, x.var(axis=0) > 0]
    squares = (x**2).sum(axis=0) * (y @ y)
    return float(((y @ x) ** 2 / squares).mean()) if x.shape[1] and (y @ y) else 0.0


def _told_apart(features: NDArray[np.floating], persons: Ints, halves: Ints) -> tuple[float | None, float | None]:
    """Accuracy of telling apart the persons who have both halves, and what guessing would have."""
    whole = np.intersect1d(persons[halves == 0], persons[halves == 1])
    if len(whole) < 2:
        return None, None
    kept = np.isin(persons, whole) & (halves != APART)
    own, half, values = np.searchsorted(whole, persons[kept]), halves[kept], features[kept]
    recalls = np.zeros((2, len(whole)))
    for tested in (0, 1):
        known, asked = half != tested, half == tested
        standardize = Standardizer.fit(values[known])
        means, _ = _means(standardize(values[known]), own[known])
        x = standardize(values[asked])
        nearest = ((means**2).sum(axis=1) - 2 * x @ means.T).argmin(axis=1)
        hits = np.bincount(own[asked], nearest == own[asked], minlength=len(whole))
        recalls[tested] = hits / np.bincount(own[asked], minlength=len(whole))
    return float(recalls.mean()), 1 / len(whole)


def _means(x: Floats, groups: Ints) -> tuple[Floats, Ints]:
    """(G, F) means of groups, and (G,) their windows."""
    _, group_of, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.stack([x[group_of == group].mean(axis=0) for group in range(len(counts))]), counts


def mean_audit(audits: list[dict[str, Any]]) -> dict[str, Any]:
    """Average audits over initialisations."""
    return {
        key: None if value is None else float(np.mean([audit[key] for audit in audits]))
        for key, value in audits[0].items()
    }
