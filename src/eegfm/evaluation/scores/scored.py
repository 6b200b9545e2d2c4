"""Scores of one run, or of runs that differ in their seed alone: values, and intervals over persons.

Shapes: P persons, R resamples, I runs.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from eegfm.errors import SplitError
from eegfm.evaluation.bootstrap import percentile_interval, person_draws
from eegfm.evaluation.linear import Floats
from eegfm.evaluation.scores.levels import LEVELS, Level, at_level
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.metrics.names import metric_names, per_person_metric, score_names
from eegfm.metrics.scoring.tally import Tally, tally
from eegfm.targets import TargetSpec


class ScoredRuns:
    """Runs that are scored together: their scores are averaged, and the same persons are drawn for all.

    Args:
        runs: Predictions for the same windows, one for each seed.
        n_bootstrap: R.
        seed: Seed of the draws of persons.

    Raises:
        SplitError: The runs predict different windows, or no window has an answer.
    """

    def __init__(self, runs: Sequence[ScoredPredictions], *, n_bootstrap: int, seed: int) -> None:
        self.runs = [run.answered() for run in runs]
        self.n_bootstrap, self.seed = n_bootstrap, seed
        self.tallies: dict[Level, list[Tally]] = {}
        for other in self.runs[1:]:
            refuse_other_windows(self.runs[0], other)
        if not self.windows.n_persons:
            raise SplitError("no window that is to be scored has an answer; check the labels of the test persons")

    @property
    def windows(self) -> ScoredPredictions:
        """The windows, with the predictions of the first run."""
        return self.runs[0]

    @property
    def target(self) -> TargetSpec:
        """Return what is asked."""
        return self.windows.target

    def values(self, level: Level) -> dict[str, Floats]:
        """Return (I,) metrics of each run by name."""
        everyone = np.ones((1, self.windows.n_persons))
        return {name: scores[:, 0] for name, scores in self._scores(level, everyone, metric_names(self.target)).items()}

    def resampled(self, level: Level) -> dict[str, Floats]:
        """Return (R,) scores of resamples by name, averaged over runs."""
        found = self._scores(level, self._draws, score_names(self.target))
        return {name: scores.mean(axis=0) for name, scores in found.items()}

    def per_person(self) -> Floats:
        """Return (P,) scores of the windows of each person, averaged over runs: ``per_person_metric``."""
        name = per_person_metric(self.target)
        scores: Floats = self._scores("window", np.eye(self.windows.n_persons), (name,))[name].mean(axis=0)
        return scores

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready. What is not defined is None.

        ``window``, ``recording`` and ``person`` have by metric the ``value`` and ``interval_95``, and for several runs
        the standard deviation over them (``sd``, ddof 1) and the value of each (``seeds``). The value is the mean over
        runs; so is each resample's score.
        """
        counts = {"windows": len(self.windows.truths), "recordings": self.windows.n_recordings}
        return {
            **{level: self.of_level(level) for level in LEVELS},
            **{f"n_{name}": n for name, n in counts.items()},
            "n_persons": self.windows.n_persons,
        }

    def of_level(self, level: Level) -> dict[str, dict[str, Any]]:
        """Return the scores of one level, as ``to_dict`` has them."""
        resampled = self.resampled(level)
        found: dict[str, dict[str, Any]] = {}
        for name, values in self.values(level).items():
            found[name] = {"value": number_or_none(values.mean())}
            if len(values) > 1:
                found[name] |= {
                    "sd": number_or_none(values.std(ddof=1)),
                    "seeds": [number_or_none(value) for value in values],
                }
            if name in resampled:
                found[name]["interval_95"] = interval_of(resampled[name], self.windows.n_persons)
        return found

    @cached_property
    def _draws(self) -> Floats:
        return person_draws(self.windows.n_persons, n_resamples=self.n_bootstrap, seed=self.seed)

    def _scores(self, level: Level, weights: Floats, names: Sequence[str]) -> dict[str, Floats]:
        """(I, R) by name."""
        if level not in self.tallies:
            n_persons = self.windows.n_persons
            self.tallies[level] = [tally(self.target, *at_level(run, level), n_persons) for run in self.runs]
        by_run = [counted.scores(weights, names) for counted in self.tallies[level]]
        return {name: np.stack([scores[name] for scores in by_run]) for name in names}


def interval_of(scores: Floats, n_persons: int) -> list[float | None]:
    """Return a 95 % percentile interval from (R,) scores of resamples; without limits if there is one person alone."""
    limits = percentile_interval(scores) if n_persons > 1 else (math.nan, math.nan)
    return [number_or_none(limit) for limit in limits]


def number_or_none(value: float) -> float | None:
    """Return a number for JSON, which has no NaN."""
    return None if math.isnan(value) else float(value)


def refuse_other_windows(first: ScoredPredictions, second: ScoredPredictions) -> None:
    """Refuse runs whose scores cannot be paired.

    Raises:
        SplitError: They are asked something else, or their answered windows, persons or answers differ.
    """
    if first.target != second.target:
        raise SplitError(f"runs that are paired need one target, these have {first.target} and {second.target}")
    if len(first.truths) != len(second.truths):
        raise SplitError(
            f"runs that are paired need the same windows, these have {len(first.truths)} and {len(second.truths)}; "
            "score both on the same test persons"
        )
    for what in ("recordings", "starts", "persons", "truths"):
        own, other = (_comparable(getattr(run, what)) for run in (first, second))
        if not np.array_equal(own, other, equal_nan=what == "truths"):
            raise SplitError(f"runs that are paired need the same windows, their {what} differ; score both on the same")


def _comparable(values: Any) -> Any:
    column = np.asarray(values)
    return column if column.dtype.kind in "iuf" else column.astype(np.str_)
