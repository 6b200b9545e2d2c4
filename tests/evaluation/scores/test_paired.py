"""Two runs on the same windows: differences, their intervals over persons, and Wilcoxon's test."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from answered_windows import TARGETS, random_windows
from eegfm.errors import SplitError
from eegfm.evaluation.scores.levels import LEVELS
from eegfm.evaluation.scores.paired import compare_runs, signed_rank
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import ScoredRuns
from eegfm.metrics.names import score_names


def pair(kind: str, n_persons: int = 7) -> tuple[ScoredPredictions, ScoredPredictions]:
    """A run and the same with other predictions."""
    target, rng = TARGETS[kind], np.random.default_rng(0)
    said, truths = random_windows(target, 4, 60)
    person = np.sort(np.arange(60) % n_persons)
    names = np.array([f"p{k}" for k in person])
    first = ScoredPredictions(target, said, truths, names, names, np.arange(60))
    return first, replace(first, probabilities=said[rng.permutation(60)])


def scored(run: ScoredPredictions, seed: int = 0) -> ScoredRuns:
    return ScoredRuns([run], n_bootstrap=30, seed=seed)


@pytest.mark.parametrize("kind", TARGETS)
def test_differences_are_paired_and_positive_in_favour_of_the_first(kind: str) -> None:
    first, second = map(scored, pair(kind))
    found, turned = compare_runs(first, second), compare_runs(second, first)
    json.dumps(found, allow_nan=False)
    errors = {"mse", "mae", "rmse", "nrmse", "brier", "ece"}
    for level in LEVELS:
        assert list(found[level]) == list(score_names(first.target))
        for name, entry in found[level].items():
            sign = -1 if name in errors else 1
            own, other = (run.values(level)[name][0] for run in (first, second))
            assert entry["difference"] == pytest.approx(sign * (own - other))
            assert entry["difference"] == pytest.approx(-turned[level][name]["difference"])
            resampled = sign * (first.resampled(level)[name] - second.resampled(level)[name])
            known = resampled[~np.isnan(resampled)]
            assert entry["interval_95"] == pytest.approx(list(np.quantile(known, [0.025, 0.975])))
    if kind == "binary":
        assert found["window"]["auroc"]["difference"] > 0
        assert found["window"]["brier"]["difference"] > 0


def test_a_run_does_not_differ_from_itself() -> None:
    first, _ = pair("multiclass")
    shuffled = first.at(np.random.default_rng(1).permutation(60))
    found = compare_runs(scored(first), scored(shuffled))
    for level in LEVELS:
        for entry in found[level].values():
            assert entry == {"difference": pytest.approx(0, abs=1e-12), "interval_95": pytest.approx([0, 0], abs=1e-12)}
    assert found["per_person"]["mean"] == 0
    assert found["per_person"]["wilcoxon"] == {"statistic": None, "p": None}


def test_persons_are_compared_by_their_own_windows() -> None:
    first, second = pair("binary")
    found = compare_runs(scored(first), scored(second))["per_person"]
    assert (found["of"], found["n_persons"], found["n_persons_left_out"]) == ("balanced_accuracy", 7, 0)
    for name, difference in found["per_person"].items():
        scores = []
        for run in (first, second):
            own = run.persons == name
            y, said = run.truths[own], run.probabilities[own].argmax(axis=1)
            scores.append(np.mean([(said[y == c] == c).mean() for c in set(y)]))
        assert difference == pytest.approx(scores[0] - scores[1])
    numbers = compare_runs(*map(scored, pair("regression")))["per_person"]
    assert numbers["of"] == "-mae"
    assert numbers["mean"] > 0


def test_the_signed_rank_test_is_that_of_all_signs() -> None:
    """Exact: the share of the 2^n choices of signs whose statistic is as small."""
    differences = np.random.default_rng(3).normal(0.4, 1, 9)
    ranks = rankdata(np.abs(differences))
    signs = (np.arange(2**9)[:, None] >> np.arange(9)) % 2
    smaller = np.minimum(signs @ ranks, (1 - signs) @ ranks)
    own = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    found = signed_rank(differences)
    assert found["statistic"] == own
    assert found["p"] == pytest.approx((smaller <= own).mean())
    assert signed_rank(np.append(differences, 0.0))["statistic"] == own, "zeros are left out"


@pytest.mark.parametrize("differences", [[0.5], [0.5, 0.5, 0.5], [1.0, 0.0, -1.0]])
def test_few_and_equal_differences_have_a_p(differences: list[float]) -> None:
    assert 0 < signed_rank(np.array(differences))["p"] <= 1


def test_other_windows_are_refused() -> None:
    first, second = pair("binary")
    other_answers = replace(second, truths=1 - second.truths)
    with pytest.raises(SplitError, match="their truths differ"):
        compare_runs(scored(first), scored(other_answers))
    with pytest.raises(SplitError, match="have 60 and 59"):
        compare_runs(scored(first), scored(second.at(np.arange(59))))
    with pytest.raises(SplitError, match="their starts differ"):
        compare_runs(scored(first), scored(replace(second, starts=second.starts + 1)))
    with pytest.raises(SplitError, match="one target"):
        compare_runs(scored(first), scored(pair("regression")[0]))
    with pytest.raises(SplitError, match="their truths differ"):
        ScoredRuns([first, other_answers], n_bootstrap=10, seed=0)
    with pytest.raises(AssertionError, match="same persons are drawn"):
        compare_runs(scored(first), scored(second, seed=1))
