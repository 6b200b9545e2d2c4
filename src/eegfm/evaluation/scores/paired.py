"""Differences between two runs on the same windows: over resamples of persons, and person by person."""

from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from eegfm.evaluation.linear import Floats
from eegfm.evaluation.metrics import paired_difference
from eegfm.evaluation.scores.levels import LEVELS, Level
from eegfm.evaluation.scores.scored import ScoredRuns, interval_of, number_or_none, refuse_other_windows
from eegfm.metrics.names import higher_is_better, per_person_metric


def compare_runs(first: ScoredRuns, second: ScoredRuns) -> dict[str, Any]:
    """Describe how much better the first run is than the second: JSON-ready, what is not defined is None.

    Every difference is positive in favour of the first run; errors are subtracted the other way round. Runs of several
    seeds are averaged before.

    ``window``, ``recording`` and ``person`` have by metric the ``difference`` and its ``interval_95``, with the same
    persons drawn for both. ``per_person`` compares the scores of each person.

    Raises:
        SplitError: The two predict different windows, or another target.
    """
    refuse_other_windows(first.windows, second.windows)
    assert (first.n_bootstrap, first.seed) == (second.n_bootstrap, second.seed), "the same persons are drawn for both"
    return {**{level: _of_level(first, second, level) for level in LEVELS}, "per_person": _per_person(first, second)}


def _of_level(first: ScoredRuns, second: ScoredRuns, level: Level) -> dict[str, Any]:
    own, other = first.values(level), second.values(level)
    own_resampled, other_resampled = first.resampled(level), second.resampled(level)
    found = {}
    for name, scores in own_resampled.items():
        sign = 1.0 if higher_is_better(name) else -1.0
        found[name] = {
            "difference": number_or_none(sign * (own[name].mean() - other[name].mean())),
            "interval_95": interval_of(sign * (scores - other_resampled[name]), first.windows.n_persons),
        }
    return found


def _per_person(first: ScoredRuns, second: ScoredRuns) -> dict[str, Any]:
    """Compare scores of the windows of each person; persons without a score are left out and counted."""
    name = per_person_metric(first.target)
    sign = 1.0 if higher_is_better(name) else -1.0
    own, other = sign * first.per_person(), sign * second.per_person()
    known = ~np.isnan(own - other)
    names = [name for name, is_known in zip(first.windows.person_names, known, strict=True) if is_known]
    found: dict[str, Any] = {"of": ("" if sign > 0 else "-") + name, "n_persons_left_out": int((~known).sum())}
    if names:
        found |= paired_difference(own[known], other[known], names)
    return {**found, "wilcoxon": signed_rank(own[known] - other[known])}


def signed_rank(differences: Floats) -> dict[str, float | None]:
    """Return statistic and two-sided p of Wilcoxon's signed-rank test (Wilcoxon 1945, doi 10.2307/3001968).

    Differences of zero are left out, as Wilcoxon did. Without another difference, nothing is tested.

    Args:
        differences: (P,) one number for each person.
    """
    if not differences.any():
        return {"statistic": None, "p": None}
    found = wilcoxon(differences, zero_method="wilcox")
    return {"statistic": float(found.statistic), "p": float(found.pvalue)}
