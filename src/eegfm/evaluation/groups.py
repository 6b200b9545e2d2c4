"""Scores of groups of persons: by age, sex and site. Few persons make a group's score a matter of chance."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Scorer = Callable[[Ints], Mapping[str, Any]]
"""Scores windows, given by (n,) positions; JSON-ready, by metric ``value`` and ``interval_95``."""

AGE_BANDS = (0, 6, 10, 14, 18, 30, 45, 60, 75)
"""Lower limits of the bands of age, in years."""
FEWEST_PERSONS = 10
"""Persons from which on a group has a score."""
UNKNOWN = "unknown"
_AGE = "age_years"
_COLUMNS = (_AGE, "sex", "site", "release", "official_split")
"""Columns of recordings that make groups. The last one holds the release of HBN and the official part of TUH."""


def scores_by_group(
    windows: pd.DataFrame,
    recordings: pd.DataFrame,
    scorers: Mapping[str, Scorer],
    *,
    age_bands: Sequence[float] = AGE_BANDS,
    fewest_persons: int = FEWEST_PERSONS,
) -> dict[str, Any]:
    """Score groups of persons; JSON-ready.

    A window belongs to the group of its recording, so that a person who was recorded at two ages can be in two groups.
    Groups of fewer than ``fewest_persons`` have counts and no score. Recordings without a value are the group
    ``unknown``. A column is left out where no recording has a value.

    Args:
        windows: The answered test windows, one row each: ``recording_id`` and ``identity``.
        recordings: Recordings of the corpus, with ``recording_id`` and any of ``age_years``, ``sex``, ``site``,
            ``release``, ``official_split``.
        scorers: By model, the function that scores windows, by their positions in ``windows``.
        age_bands: Lower limits of the bands of age, rising.
        fewest_persons: Persons from which on a group has a score.

    Returns:
        ``fewest_persons``; and ``by`` column, by group: ``n_persons``, ``n_windows``, and by model what its scorer
        returns (``models``, empty for small groups).
    """
    told = recordings.drop_duplicates("recording_id").set_index("recording_id").reindex(windows["recording_id"])
    assert recordings["recording_id"].isin(windows["recording_id"]).sum() == windows["recording_id"].nunique(), (
        "every window has one recording in the table"
    )
    found: dict[str, Any] = {}
    for name in (name for name in _COLUMNS if name in told):
        groups = _age_groups(told[name], age_bands) if name == _AGE else _named_groups(told[name])
        if set(groups) == {UNKNOWN}:
            continue
        known = [group for group in dict.fromkeys(groups.sort_values()) if group != UNKNOWN]
        order = [*known, *([UNKNOWN] if UNKNOWN in set(groups) else [])]
        labels = groups.to_numpy(dtype=str)
        found[name] = {
            str(group): _group(np.flatnonzero(labels == group), windows, scorers, fewest_persons) for group in order
        }
    return {"fewest_persons": fewest_persons, "by": found}


def _group(rows: Ints, windows: pd.DataFrame, scorers: Mapping[str, Scorer], fewest_persons: int) -> dict[str, Any]:
    n_persons = int(windows["identity"].iloc[rows].nunique())
    models = {name: dict(score(rows)) for name, score in scorers.items()} if n_persons >= fewest_persons else {}
    return {"n_persons": n_persons, "n_windows": len(rows), "models": models}


def _age_groups(ages: pd.Series, lower: Sequence[float]) -> pd.Series:
    """Name the band of each age, in an order that sorts by age."""
    names = [f"{low:g} to under {high:g} years" for low, high in zip(lower, lower[1:], strict=False)]
    names.append(f"{lower[-1]:g} years and above")
    bands = pd.cut(pd.to_numeric(ages), [*lower, np.inf], right=False, labels=names)
    return bands.cat.add_categories(UNKNOWN).fillna(UNKNOWN)


def _named_groups(values: pd.Series) -> pd.Series:
    text = values.astype("object").map(lambda value: "" if pd.isna(value) else str(value).strip())
    return text.where(text != "", UNKNOWN)
