"""Scores at every level and their intervals equal a plain loop that resamples rows of persons."""

import json
import os
import time

import numpy as np
import pytest
import torch

from answered_windows import TARGETS, random_windows, sklearn_scores
from eegfm.errors import SplitError
from eegfm.evaluation.bootstrap import person_draws
from eegfm.evaluation.scores.levels import LEVELS
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import ScoredRuns
from eegfm.metrics.names import metric_names, score_names
from eegfm.metrics.supervised import SupervisedMetrics
from eegfm.targets import TargetSpec

N_RESAMPLES = 5


def predictions(kind: str, seed: int = 0, n_windows: int = 50, n_persons: int = 6) -> ScoredPredictions:
    """Windows of persons of unequal sizes, two recordings each, in no order."""
    target, rng = TARGETS[kind], np.random.default_rng(100 + seed)
    said, truths = random_windows(target, seed, n_windows)
    person = rng.choice(n_persons, n_windows, p=np.arange(1, n_persons + 1) / np.arange(1, n_persons + 1).sum())
    recording = 2 * person + rng.integers(0, 2, n_windows)
    names = np.array([f"p{k}" for k in range(n_persons)])[person]
    recordings = np.array([f"r{k}" for k in range(2 * n_persons)])[recording]
    return ScoredPredictions(target, said, truths, names, recordings, rng.permutation(n_windows) * 100)


def looped_rows(run: ScoredPredictions, level: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a level with their persons' names: by loops over units, outputs and classes."""
    if level == "window":
        return run.probabilities, run.truths, run.persons
    names = run.persons if level == "person" else run.recordings
    said, truths, persons = [], [], []
    for unit in sorted(set(names)):
        own = names == unit
        p, y = run.probabilities[own].astype(np.float64), run.truths[own]
        if run.target.kind == "regression":
            known = np.where(np.isnan(y), np.nan, 1)
            said.append([np.mean(c[~np.isnan(c)]) if (~np.isnan(c)).any() else np.nan for c in (p * known).T])
            truths.append([np.mean(c[~np.isnan(c)]) if (~np.isnan(c)).any() else np.nan for c in (y * known).T])
            persons.append(run.persons[own][0])
            continue
        y2, unknown = (y[:, None], -1) if y.ndim == 1 else (y, np.nan if run.target.kind == "multilabel" else -1)
        for k in range(y2.shape[1]):
            for c in range(5):
                if (y2[:, k] == c).any():
                    row = np.full(y2.shape[1], unknown, dtype=np.float64)
                    row[k] = c
                    said.append(p[y2[:, k] == c].mean(axis=0))
                    truths.append(row if y.ndim > 1 else row[0])
                    persons.append(run.persons[own][0])
    y = np.array(truths) if run.target.kind in ("multilabel", "regression") else np.array(truths).astype(int)
    return np.array(said), y, np.array(persons)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("level", LEVELS)
def test_values_and_intervals_equal_a_plain_loop(kind: str, level: str) -> None:
    run = predictions(kind, seed=3).answered()
    found = ScoredRuns([run], n_bootstrap=N_RESAMPLES, seed=7).to_dict()[level]
    said, truths, persons = looped_rows(run, level)
    draws = person_draws(run.n_persons, n_resamples=N_RESAMPLES, seed=7).astype(int)
    resampled = []
    for counts in draws:
        rows = [
            i for name, n in zip(run.person_names, counts, strict=True) for i in [*np.flatnonzero(persons == name)] * n
        ]
        resampled.append(sklearn_scores(run.target, said[rows], truths[rows]))
    whole = sklearn_scores(run.target, said, truths)
    assert list(found) == list(metric_names(run.target))
    for name, entry in found.items():
        value = np.nan if entry["value"] is None else entry["value"]
        assert value == pytest.approx(whole[name], abs=1e-6, nan_ok=True), name
        if name == "n_left_out":
            assert set(entry) == {"value"}
            continue
        scores = np.array([scores[name] for scores in resampled])
        known = scores[~np.isnan(scores)]
        expected = np.quantile(known, [0.025, 0.975]) if len(known) else [None, None]
        assert entry["interval_95"] == pytest.approx(list(expected), abs=1e-6), name


@pytest.mark.parametrize("kind", TARGETS)
def test_windows_have_the_metrics_of_the_training(kind: str) -> None:
    run = predictions(kind, seed=3)
    metrics = SupervisedMetrics(run.target)
    metrics.update(torch.tensor(run.probabilities), torch.tensor(run.truths))
    found = ScoredRuns([run], n_bootstrap=10, seed=0).values("window")
    assert {name: value[0] for name, value in found.items()} == pytest.approx(metrics.compute(), abs=1e-12, nan_ok=True)


def test_one_answer_per_person_is_one_row_per_person() -> None:
    """Windows of a person that are wrong one by one are right together."""
    n = 40
    person = np.repeat(np.arange(8), 5)
    truths = person % 2
    p = np.where(np.arange(n) % 5 < 2, 0.45, 0.9)
    p = np.where(truths == 1, p, 1 - p)
    names = np.array([f"p{k}" for k in person])
    run = ScoredPredictions(TARGETS["binary"], np.stack([1 - p, p], axis=1), truths, names, names, np.arange(n))
    found = ScoredRuns([run], n_bootstrap=50, seed=0).to_dict()
    assert found["window"]["accuracy"]["value"] == pytest.approx(0.6)
    assert found["recording"]["accuracy"] == found["person"]["accuracy"] == {"value": 1.0, "interval_95": [1.0, 1.0]}
    assert (found["n_windows"], found["n_recordings"], found["n_persons"]) == (40, 8, 8)


def test_unknown_answers_and_the_order_of_windows_change_nothing() -> None:
    run = predictions("multilabel", seed=3)
    shuffled = run.at(np.random.default_rng(0).permutation(len(run.truths)))
    whole = ScoredRuns([run], n_bootstrap=30, seed=0).to_dict()
    assert ScoredRuns([shuffled], n_bootstrap=30, seed=0).to_dict() == whole
    unknown = run.truths.copy()
    unknown[run.persons == "p5"] = np.nan
    left = ScoredPredictions(run.target, run.probabilities, unknown, run.persons, run.recordings, run.starts)
    without = run.at(run.persons != "p5")
    assert (
        ScoredRuns([left], n_bootstrap=30, seed=0).to_dict() == ScoredRuns([without], n_bootstrap=30, seed=0).to_dict()
    )


def test_seeds_are_averaged_before_an_interval_is_taken() -> None:
    run = predictions("binary", seed=4)
    others = [
        ScoredPredictions(run.target, p, run.truths, run.persons, run.recordings, run.starts)
        for p in (run.probabilities[::-1], np.float32(0.5) + (run.probabilities - np.float32(0.5)) / 2)
    ]
    runs = [run, *others]
    alone = [ScoredRuns([one], n_bootstrap=40, seed=1) for one in runs]
    together = ScoredRuns(runs, n_bootstrap=40, seed=1).to_dict()
    for level in LEVELS:
        for name in score_names(run.target):
            seeds = [one.values(level)[name][0] for one in alone]
            entry = together[level][name]
            assert entry["seeds"] == pytest.approx(seeds)
            assert (entry["value"], entry["sd"]) == pytest.approx((np.mean(seeds), np.std(seeds, ddof=1)))
            mean = np.mean([one.resampled(level)[name] for one in alone], axis=0)
            assert entry["interval_95"] == pytest.approx(list(np.quantile(mean[~np.isnan(mean)], [0.025, 0.975])))


def test_it_is_json_without_nan() -> None:
    """One person of one class: nothing has an interval, and areas have no value."""
    run = predictions("binary", seed=1)
    one = run.at(np.flatnonzero((run.persons == "p5") & (run.truths == run.truths[run.persons == "p5"][0])))
    found = ScoredRuns([one], n_bootstrap=10, seed=0).to_dict()
    json.dumps(found, allow_nan=False)
    assert found["window"]["auroc"] == {"value": None, "interval_95": [None, None]}
    assert found["window"]["accuracy"]["interval_95"] == [None, None], "one person has no interval"


def test_no_answer_at_all_is_refused() -> None:
    run = predictions("binary")
    nothing = ScoredPredictions(
        run.target, run.probabilities, np.full_like(run.truths, -1), run.persons, run.recordings, run.starts
    )
    with pytest.raises(SplitError, match="no window that is to be scored has an answer"):
        ScoredRuns([nothing], n_bootstrap=10, seed=0)


def test_a_recording_of_two_persons_is_our_own_mistake() -> None:
    run = predictions("binary")
    with pytest.raises(AssertionError, match="a recording has one person"):
        ScoredPredictions(run.target, run.probabilities, run.truths, run.persons, run.persons[::-1], run.starts)


@pytest.mark.skipif(os.environ.get("EEGFM_METRICS") != "full", reason="EEGFM_METRICS=full")
def test_an_evaluation_of_the_size_of_tuab_is_scored_in_seconds() -> None:
    """276 persons, 36,000 windows, 1,000 resamples at three levels."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(276), 130)
    p = rng.random(len(person)).astype(np.float32)
    names = np.array([f"p{k}" for k in person])
    target = TargetSpec.of_classes(("normal", "abnormal"))
    run = ScoredPredictions(target, np.stack([1 - p, p], axis=1), person % 2, names, names, np.arange(len(p)))
    start = time.process_time()
    ScoredRuns([run], n_bootstrap=1000, seed=0).to_dict()
    assert time.process_time() - start < 10
