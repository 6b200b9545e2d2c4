"""Scores of groups of persons: by age, sex and site. Few persons make a group's score a matter of chance.

Shapes: W windows of a task.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.evaluation.bootstrap import person_draws
from eegfm.evaluation.scores.levels import Level, at_level
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import interval_of, number_or_none
from eegfm.metrics.names import per_person_metric
from eegfm.metrics.scoring.tally import tally

AGE_BANDS = (0, 6, 10, 14, 18, 30, 45, 60, 75)
"""Lower limits of the bands of age, in years."""
FEWEST_PERSONS = 10
"""Persons from which on a group has a score."""
UNKNOWN = "unknown"
_AGE = "age_years"
_COLUMNS = (_AGE, "sex", "site", "release", "official_split")
"""Columns of recordings that make groups. The last one holds the release of HBN, or the official part of TUH."""


def scores_by_group(
    models: Mapping[str, Sequence[ScoredPredictions]],
    recordings: pd.DataFrame,
    metric: str,
    level: Level = "window",
    *,
    n_bootstrap: int,
    seed: int,
    age_bands: Sequence[float] = AGE_BANDS,
    fewest_persons: int = FEWEST_PERSONS,
) -> dict[str, Any]:
    """Score groups of persons; JSON-ready, what is not defined is None.

    A window belongs to the group of its recording, so that a person who was recorded at two ages can be in two groups.
    Groups of fewer than ``fewest_persons`` have counts and no score. Recordings without a value are the group
    ``unknown``. A column is left out where no recording has a value.

    Args:
        models: By model, its predictions for the same windows, one for each seed. Windows without an answer are left
            out.
        recordings: Recordings of the corpus: ``recording_id`` and any of ``age_years``, ``sex``, ``site``, ``release``,
            ``official_split``.
        metric: Metric that models are compared by. The one that is defined for each person stands beside it.
        level: Level that models are compared at.
        n_bootstrap: Resamples of the persons of a group for each interval.
        seed: Seed of the resamples.
        age_bands: Lower limits of the bands of age, rising.
        fewest_persons: Persons from which on a group has a score.

    Returns:
        ``fewest_persons``, ``level``, and ``by`` column, by group: ``n_persons``, ``n_windows``, and ``models``, by
        model and metric the ``value`` and ``interval_95`` (empty for small groups).
    """
    runs = {name: [run.answered() for run in own] for name, own in models.items()}
    windows = next(iter(runs.values()))[0]
    told = _told(recordings, windows)
    score = partial(_score, metric=metric, level=level, n_bootstrap=n_bootstrap, seed=seed)
    found: dict[str, dict[str, Any]] = {}
    for name in (name for name in _COLUMNS if name in told):
        groups, order = _age_groups(told[name], age_bands) if name == _AGE else _named_groups(told[name])
        if order == [UNKNOWN]:
            continue
        found[name] = {}
        for group in order:
            rows = np.flatnonzero(groups == group)
            n_persons = windows.at(rows).n_persons
            scores = {m: score(own, rows) for m, own in runs.items()} if n_persons >= fewest_persons else {}
            found[name][group] = {"n_persons": n_persons, "n_windows": len(rows), "models": scores}
    return {"fewest_persons": fewest_persons, "level": level, "by": found}


def _told(recordings: pd.DataFrame, windows: ScoredPredictions) -> pd.DataFrame:
    """Return what is known of the recording of each window, one row per window."""
    ids = pd.Index(recordings["recording_id"].astype("str"))
    assert ids.is_unique, "a recording has one row"
    places = ids.get_indexer(pd.Index(windows.recordings.astype(np.str_)))
    assert (places >= 0).all(), "every window has its recording in the table"
    return recordings.iloc[places]


def _score(
    runs: Sequence[ScoredPredictions],
    rows: NDArray[np.int64],
    *,
    metric: str,
    level: Level,
    n_bootstrap: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Score some windows of all seeds, whose scores are averaged."""
    target, n_persons = runs[0].target, runs[0].at(rows).n_persons
    tallies = [tally(target, *at_level(run.at(rows), level), n_persons) for run in runs]
    names = tuple(dict.fromkeys((metric, per_person_metric(target))))
    draws = person_draws(n_persons, n_resamples=n_bootstrap, seed=seed)
    values, resampled = (
        [counted.scores(weights, names) for counted in tallies] for weights in (np.ones((1, n_persons)), draws)
    )
    return {
        name: {
            "value": number_or_none(float(np.mean([scores[name] for scores in values]))),
            "interval_95": interval_of(np.mean([scores[name] for scores in resampled], axis=0), n_persons),
        }
        for name in names
    }


def _age_groups(ages: pd.Series, lower: Sequence[float]) -> tuple[NDArray[Any], list[str]]:
    """(W,) band of the age of each window, and the bands that occur from the youngest on."""
    names = [f"{low:g} to under {high:g} years" for low, high in pairwise(lower)]
    names = [*names, f"{lower[-1]:g} years and above", UNKNOWN]
    years = ages.to_numpy(dtype=np.float64)
    band = np.searchsorted(np.asarray(lower, dtype=np.float64), years, side="right") - 1
    band[np.isnan(years) | (band < 0)] = len(names) - 1
    return np.asarray(names)[band], [names[k] for k in np.unique(band)]


def _named_groups(values: pd.Series) -> tuple[NDArray[Any], list[str]]:
    """(W,) name of the group of each window, and the groups that occur, the unknown one last."""
    text = ["" if pd.isna(value) else str(value).strip() for value in values]
    groups = np.asarray([name or UNKNOWN for name in text])
    return groups, sorted(set(groups.tolist()), key=lambda name: (name == UNKNOWN, name))
