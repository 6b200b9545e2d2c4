import numpy as np
import pytest

from eegfm.corpora.simulated.config import Effects, SimulatedHbn, SimulatedTuh
from eegfm.corpora.simulated.people import FACTORS, alpha_peak_mean_hz, evenly, hbn_person, in_share, tuh_person

N = 600


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.5, 0.7, 1.0])
def test_in_share_holds_the_floor_of_the_share_at_every_length(ratio: float) -> None:
    flags = [in_share(k, ratio) for k in range(100)]
    for n in range(100):
        assert sum(flags[:n]) == int(n * ratio + 1e-9)


def test_evenly_spread_flags_are_near_their_share_and_do_not_follow_each_other() -> None:
    flags = np.array([[evenly(k, 0.3, step) for k in range(N)] for step in (3, 5, 7, 11)], dtype=float)
    np.testing.assert_allclose(flags.mean(axis=1), 0.3, atol=0.01)
    correlation = np.corrcoef(flags) - np.eye(4)
    assert np.abs(correlation).max() < 0.1


def test_persons_do_not_depend_on_the_number_of_persons_but_on_seed_and_corpus() -> None:
    assert tuh_person(SimulatedTuh(n_subjects=3), 2) == tuh_person(SimulatedTuh(n_subjects=90), 2)
    assert hbn_person(SimulatedHbn(n_subjects=3), 2) == hbn_person(SimulatedHbn(n_subjects=90), 2)
    assert tuh_person(SimulatedTuh(seed=1), 2).factors != tuh_person(SimulatedTuh(seed=2), 2).factors
    assert tuh_person(SimulatedTuh(), 2).factors != hbn_person(SimulatedHbn(), 2).factors


def test_alpha_peak_rises_in_childhood_and_falls_in_adults() -> None:
    effects = Effects()
    assert (np.diff(alpha_peak_mean_hz(np.arange(5, 20), False, effects)) > 0).all()
    assert (np.diff(alpha_peak_mean_hz(np.arange(21, 85), False, effects)) < 0).all()
    shift = alpha_peak_mean_hz(40, True, effects) - alpha_peak_mean_hz(40, False, effects)
    assert shift == pytest.approx(effects.abnormal_alpha_hz)


def test_each_label_moves_its_own_feature_only() -> None:
    effects = Effects()
    people = [hbn_person(SimulatedHbn(), k) for k in range(N)]
    features = {
        "sex": [p.log_beta for p in people],
        "p_factor": [p.log_alpha for p in people],
        "attention": [p.log_theta for p in people],
        "internalizing": [p.log_asymmetry for p in people],
        "externalizing": [p.exponent for p in people],
    }
    labels = {"sex": [float(p.sex == "F") for p in people]} | {f: [p.factors[f] for p in people] for f in FACTORS}
    for label, values in labels.items():
        for feature, seen in features.items():
            r = abs(np.corrcoef(values, seen)[0, 1])
            assert (r > 0.5) if label == feature else (r < 0.15), (label, feature, r)
    women = np.array(labels["sex"], dtype=bool)
    beta = np.array(features["sex"])
    assert beta[women].mean() - beta[~women].mean() == pytest.approx(effects.sex_log_beta, abs=0.1)


def test_labels_are_distributed_as_in_hbn() -> None:
    people = [hbn_person(SimulatedHbn(), k) for k in range(N)]
    ages = np.array([p.age_years for p in people])
    assert (ages.min() >= 5, ages.max() <= 22) == (True, True)
    assert ages.mean() == pytest.approx(10.26, abs=0.4)
    assert ages.std() == pytest.approx(3.4, abs=0.3)
    assert np.mean([p.sex == "M" for p in people]) == pytest.approx(0.65, abs=0.01)
    for factor, (mean, sd) in FACTORS.items():
        scores = [p.score(factor) for p in people]
        assert np.mean(scores) == pytest.approx(mean, abs=0.15)
        assert np.std(scores) == pytest.approx(sd, rel=0.12)
