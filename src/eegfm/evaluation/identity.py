"""Audit of features: how much of them is the person, and how much the answer.

Shapes: W windows, P persons, F features.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.evaluation.answers import Answers, ClassAnswers
from eegfm.evaluation.linear import Floats, Ints, Standardizer

_COLUMNS = 256
"""Features that are looked at together, so that wide ones are never standardised as a whole."""

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
    n_persons = len(np.unique(persons))
    accuracy, chance = _told_apart(last, persons, halves)
    return {
        "between_persons": _share_between(last, persons),
        "between_persons_by_chance": (n_persons - 1) / max(len(last) - 1, 1),
        "of_answer": None if answers is None else _share_of_answer(last, answers),
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


def _share_between(features: NDArray[np.floating], groups: Ints) -> float:
    """Mean over features of the variance between the means of groups, as a share of the whole variance."""
    shares = []
    for x in _varying(features):
        means, counts = _means(x, groups)
        between = counts @ (means - x.mean(axis=0)) ** 2 / len(x)
        shares.append(between / x.var(axis=0))
    return float(np.concatenate(shares).mean()) if shares else 0.0


def _share_of_answer(features: NDArray[np.floating], answers: Answers) -> float:
    if isinstance(answers, ClassAnswers):
        return _share_between(features, answers.numbers)
    y = np.asarray(answers.values, dtype=np.float64)
    y = y - y.mean()
    if not (y @ y):
        return 0.0
    shares = []
    for x in _varying(features):
        shares.append((y @ x) ** 2 / (x.var(axis=0) * len(x) * (y @ y)))  # y is centred, so x need not be
    return float(np.concatenate(shares).mean()) if shares else 0.0


def _varying(features: NDArray[np.floating]) -> Iterator[Floats]:
    """Standardised features that vary, a few at a time."""
    for columns in _blocks(features):
        x = Standardizer.fit(features[:, columns])(features[:, columns])
        varies = x.var(axis=0) > 0
        if varies.any():
            yield x[:, varies]


def _blocks(features: NDArray[np.floating]) -> Iterator[slice]:
    for first in range(0, features.shape[1], _COLUMNS):
        yield slice(first, first + _COLUMNS)


def _told_apart(features: NDArray[np.floating], persons: Ints, halves: Ints) -> tuple[float | None, float | None]:
    """Accuracy of telling apart the persons who have both halves, and what guessing would have."""
    whole = np.intersect1d(persons[halves == 0], persons[halves == 1])
    if len(whole) < 2:
        return None, None
    is_whole = np.isin(persons, whole)
    recalls = []
    for tested in (0, 1):
        known = np.flatnonzero(is_whole & (halves == 1 - tested))
        asked = np.flatnonzero(is_whole & (halves == tested))
        distances = np.zeros((len(asked), len(whole)))
        for columns in _blocks(features):
            standardize = Standardizer.fit(features[known, columns])
            means, _ = _means(standardize(features[known, columns]), persons[known])
            distances += (means**2).sum(axis=1) - 2 * standardize(features[asked, columns]) @ means.T
        own = np.searchsorted(whole, persons[asked])
        hits = np.bincount(own, distances.argmin(axis=1) == own, minlength=len(whole))
        recalls.append(hits / np.bincount(own, minlength=len(whole)))
    return float(np.mean(recalls)), 1 / len(whole)


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
