import json

import numpy as np
import pytest
from scipy.stats import bootstrap, pearsonr
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score, root_mean_squared_error

from eegfm.evaluation.answers import ClassAnswers, NumberAnswers
from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.summary import PersonScores, compare

NAMES = ["a", "b", "c"]
PERSONS = np.repeat(np.arange(3), 40)
TRUTH = np.tile([0, 0, 1, 1], 30)
ANSWERS = ClassAnswers(TRUTH, ("x", "y"))
DRAWN = {"n_bootstrap": 500, "seed": 0}


def _run(seed, share):
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(120) < share, TRUTH, 1 - TRUTH)
    return HeldOut(predicted, np.zeros(120), {"lambdas": (1.0, 10.0, 1.0)})


def test_numbers_agree_with_scikit_learn():
    runs = [_run(0, 0.8), _run(1, 0.6)]
    scores = PersonScores(runs, ANSWERS, PERSONS, NAMES)
    found = scores.to_dict(n_bootstrap=500, seed=0)
    accuracy = found["balanced_accuracy"]
    expected = [balanced_accuracy_score(TRUTH, run.predicted) for run in runs]
    assert accuracy["inits"] == pytest.approx(expected)
    assert accuracy["pooled"] == pytest.approx(np.mean(expected))
    for k, name in enumerate(NAMES):
        mine = np.equal(PERSONS, k)
        per_init = [balanced_accuracy_score(TRUTH[mine], run.predicted[mine]) for run in runs]
        assert accuracy["per_person"][name] == pytest.approx(np.mean(per_init))
    low, high = accuracy["interval_95"]
    assert min(accuracy["per_person"].values()) <= low < accuracy["pooled"] < high
    assert found["lambdas"] == [[1.0, 10.0, 1.0]] * 2
    assert json.loads(json.dumps(found)) == found


def test_compare_pairs_the_pretrained_with_each_control():
    kinds = {"pretrained": [_run(0, 0.9)], "untrained": [_run(1, 0.6)], "band_power": [_run(0, 0.9)]}
    scores = {kind: PersonScores(runs, ANSWERS, PERSONS, NAMES) for kind, runs in kinds.items()}
    found = compare(scores, **DRAWN)
    assert set(found) == {"untrained", "band_power"}
    assert found["untrained"]["n_persons_improved"] == 3
    assert found["band_power"]["mean"] == 0.0
    assert {one["of"] for one in found.values()} == {"balanced_accuracy"}
    pooled = [s.to_dict(**DRAWN)["balanced_accuracy"]["pooled"] for s in scores.values()]
    assert found["untrained"]["balanced_accuracy"]["difference"] == pytest.approx(pooled[0] - pooled[1])
    assert found["band_power"]["balanced_accuracy"]["interval_95"] == [0.0, 0.0]


def _predictions(seed, noise, numbers):
    rng = np.random.default_rng(seed)
    predicted = numbers + rng.normal(0, noise, len(numbers))
    return HeldOut(predicted, predicted, {"lambdas": (1.0,)})


def _expected(numbers, predicted):
    return {
        "r2": r2_score(numbers, predicted),
        "pearson": pearsonr(numbers, predicted).statistic,
        "nrmse": root_mean_squared_error(numbers, predicted) / np.std(numbers),
        "mae": mean_absolute_error(numbers, predicted),
    }


def test_numbers_agree_with_scikit_learn_and_scipy():
    numbers = 1000 + np.random.default_rng(0).normal(0, 2, 120)
    runs = [_predictions(1, 1.0, numbers), _predictions(2, 3.0, numbers)]
    found = PersonScores(runs, NumberAnswers(numbers, False), PERSONS, NAMES).to_dict(**DRAWN)
    assert set(found) == {"r2", "pearson", "nrmse", "mae", "lambdas"}
    for name in ("r2", "pearson", "nrmse", "mae"):
        expected = [_expected(numbers, run.predicted)[name] for run in runs]
        assert found[name]["inits"] == pytest.approx(expected, rel=1e-9)
        assert found[name]["pooled"] == pytest.approx(np.mean(expected), rel=1e-9)
        low, high = found[name]["interval_95"]
        assert low <= found[name]["pooled"] <= high
    for k, name in enumerate(NAMES):
        mine = np.equal(PERSONS, k)
        errors = [mean_absolute_error(numbers[mine], run.predicted[mine]) for run in runs]
        assert found["mae"]["per_person"][name] == pytest.approx(np.mean(errors))
    assert "per_person" not in found["r2"]


def test_numbers_of_recordings_are_also_scored_person_by_person():
    names = [f"p{k}" for k in range(20)]
    persons = np.repeat(np.arange(20), np.arange(20) % 3 + 2)
    ages = np.random.default_rng(0).uniform(5, 20, 20)
    answers = NumberAnswers(ages[persons], is_of_person=True)
    run = _predictions(3, 4.0, answers.numbers)
    scores = PersonScores([run], answers, persons, names)
    found = scores.to_dict(**DRAWN)
    means = np.array([run.predicted[persons == k].mean() for k in range(20)])
    for name, value in _expected(ages, means).items():
        assert found["persons"][name]["pooled"] == pytest.approx(value)
    for name, value in _expected(answers.numbers, run.predicted).items():
        assert found[name]["pooled"] == pytest.approx(value)
    assert found["persons"]["r2"]["pooled"] > found["r2"]["pooled"], "noise of windows averages out"
    np.testing.assert_allclose(scores.per_person, abs(means - ages))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_an_error_is_compared_with_its_sign_turned():
    names = [f"p{k}" for k in range(15)]
    persons = np.repeat(np.arange(15), 10)
    numbers = np.random.default_rng(0).normal(0, 2, 150)
    runs = {"pretrained": [_predictions(1, 1.0, numbers)], "untrained": [_predictions(k, 2.0, numbers) for k in (2, 3)]}
    scores = {k: PersonScores(r, NumberAnswers(numbers, False), persons, names) for k, r in runs.items()}
    found = compare(scores, n_bootstrap=4000, seed=0)["untrained"]
    errors = [
        np.array([np.mean([mean_absolute_error(numbers[persons == k], r.predicted[persons == k]) for r in one])
                  for k in range(15)])
        for one in runs.values()
    ]  # fmt: skip
    assert found["of"] == "-mae"
    assert found["mean"] == pytest.approx((errors[1] - errors[0]).mean())
    assert found["n_persons_improved"] == (errors[1] > errors[0]).sum() > 12
    rng = np.random.default_rng(1)
    theirs = bootstrap((errors[1] - errors[0],), np.mean, n_resamples=4000, method="percentile", rng=rng)
    np.testing.assert_allclose(found["interval_95"], theirs.confidence_interval, atol=0.03)
    pooled = [np.mean([r2_score(numbers, r.predicted) for r in one]) for one in runs.values()]
    assert found["r2"]["difference"] == pytest.approx(pooled[0] - pooled[1])
    low, high = found["r2"]["interval_95"]
    assert 0 < low < found["r2"]["difference"] < high


def test_the_difference_of_pooled_scores_is_resampled_over_the_same_persons():
    """A plain loop over resamples, one list of persons for both kinds of features."""
    names, persons = [f"p{k}" for k in range(8)], np.repeat(np.arange(8), 6)
    numbers = np.random.default_rng(0).normal(0, 2, 48)
    runs = [_predictions(k, noise, numbers) for k, noise in ((1, 1.0), (2, 1.5))]
    both = {
        kind: PersonScores([run], NumberAnswers(numbers, False), persons, names)
        for kind, run in zip(("pretrained", "untrained"), runs, strict=True)
    }
    found = compare(both, n_bootstrap=300, seed=5)["untrained"]["r2"]["interval_95"]
    draws = np.random.default_rng([5, 8]).multinomial(8, np.full(8, 1 / 8), size=300)
    differences = []
    for draw in draws:
        rows = np.concatenate([np.flatnonzero(persons == k) for k in range(8) for _ in range(draw[k])])
        scores = [r2_score(numbers[rows], run.predicted[rows]) for run in runs]
        differences.append(scores[0] - scores[1])
    assert found == pytest.approx(np.quantile(differences, [0.025, 0.975]))
