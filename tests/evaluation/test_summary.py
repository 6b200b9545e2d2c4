import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from eegfm.evaluation.crossval import HeldOut
from eegfm.evaluation.summary import PersonScores, compare

NAMES = ["a", "b", "c"]
PERSONS = np.repeat(np.arange(3), 40)
TRUTH = np.tile([0, 0, 1, 1], 30)


def _run(seed, share):
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(120) < share, TRUTH, 1 - TRUTH)
    return HeldOut(predicted, np.zeros(120), (1.0, 10.0, 1.0))


def test_numbers_agree_with_scikit_learn():
    runs = [_run(0, 0.8), _run(1, 0.6)]
    scores = PersonScores(runs, TRUTH, PERSONS, NAMES, 2)
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
    scores = {kind: PersonScores(runs, TRUTH, PERSONS, NAMES, 2) for kind, runs in kinds.items()}
    found = compare(scores)
    assert set(found) == {"untrained", "band_power"}
    assert found["untrained"]["n_persons_improved"] == 3
    assert found["band_power"]["mean"] == 0.0
