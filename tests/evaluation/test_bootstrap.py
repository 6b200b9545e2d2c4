import numpy as np
from scipy.stats import bootstrap as scipy_bootstrap

from eegfm.evaluation.bootstrap import person_interval


def _mean(pooled):
    return pooled[:, 0] / pooled[:, 1]


def test_agrees_with_scipy():
    values = np.random.default_rng(1).normal(size=12)
    ours = person_interval(np.stack([values, np.ones(12)], axis=1), _mean, n_resamples=20_000, seed=0)
    rng = np.random.default_rng(2)
    theirs = scipy_bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=rng)
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.03)


def test_resamples_persons_not_windows():
    # One person of 1000 windows among ten: resampling windows would give a far narrower interval.
    counts = np.array([[1000.0, 1000.0]] + [[0.0, 10.0]] * 9)
    low, high = person_interval(counts, _mean, n_resamples=500, seed=0)
    assert low == 0.0
    assert high > 0.95


def test_is_a_function_of_the_seed():
    counts = np.random.default_rng(0).random((8, 2)) + 1
    one, two, other = (person_interval(counts, _mean, n_resamples=200, seed=s) for s in (3, 3, 4))
    assert one == two != other


def test_resamples_without_a_score_are_left_out():
    """The score is known only where the first person was drawn."""
    counts = np.eye(4)

    def statistic(pooled):
        return np.where(pooled[:, 0] > 0, pooled[:, 0], np.nan)

    low, high = person_interval(counts, statistic, n_resamples=500, seed=0)
    assert 1 == low < high
