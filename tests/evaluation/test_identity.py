import numpy as np
import pandas as pd
import pytest
from scipy.stats import f_oneway, pearsonr

from eegfm.evaluation import identity
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers
from eegfm.evaluation.identity import APART, halves_of_persons, identity_audit, mean_audit

N_PERSONS, N_EACH = 6, 40


def trials(offset, seed=0, n_features=8):
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(N_PERSONS), N_EACH)
    features = rng.normal(size=(len(persons), n_features)) + offset * rng.normal(size=(N_PERSONS, n_features))[persons]
    classes = np.tile([0, 1], len(persons) // 2)
    halves = np.tile(np.repeat([0, 1], N_EACH // 2), N_PERSONS)
    return features, persons, halves, ClassAnswers(classes, ("a", "b"))


def test_shares_follow_from_the_analysis_of_variance():
    features, persons, halves, answers = trials(1.0)
    found = identity_audit(features, persons, halves, answers)
    for key, groups, n in (("between_persons", persons, N_PERSONS), ("of_answer", answers.numbers, 2)):
        f = f_oneway(*(features[groups == group] for group in range(n))).statistic
        ratio = f * (n - 1) / (len(features) - n)  # of the variance between groups to that within
        assert found[key] == pytest.approx(np.mean(ratio / (1 + ratio)))
    numbers = NumberAnswers(features[:, 0] + features[:, 1], is_of_person=False)
    explained = np.mean([pearsonr(column, numbers.numbers).statistic ** 2 for column in features.T])
    assert identity_audit(features, persons, halves, numbers)["of_answer"] == pytest.approx(explained)
    assert identity_audit(features, persons, halves, None)["of_answer"] is None


def test_persons_who_differ_are_told_apart_and_noise_is_not():
    found = identity_audit(*trials(5.0))
    assert found["accuracy"] > 0.95
    assert found["chance"] == pytest.approx(1 / N_PERSONS)
    many = [identity_audit(*trials(0.0, seed)) for seed in range(20)]
    mean = mean_audit(many)
    assert mean["accuracy"] == pytest.approx(1 / N_PERSONS, abs=0.03)
    assert mean["between_persons"] == pytest.approx(mean["between_persons_by_chance"], abs=0.003)


def test_accuracy_is_that_of_the_nearest_centroid():
    features, persons, halves, answers = trials(0.7)
    recalls = []
    for tested in (0, 1):
        known = halves != tested
        mean, scale = features[known].mean(axis=0), features[known].std(axis=0)
        x = (features - mean) / scale
        centroids = np.array([x[known & (persons == p)].mean(axis=0) for p in range(N_PERSONS)])
        for p in range(N_PERSONS):
            asked = x[~known & (persons == p)]
            nearest = np.argmin(((asked[:, None] - centroids) ** 2).sum(axis=-1), axis=1)
            recalls.append(np.mean(nearest == p))
    assert identity_audit(features, persons, halves, answers)["accuracy"] == pytest.approx(np.mean(recalls))


def test_wide_features_are_audited_in_parts(monkeypatch):
    given = trials(1.0)
    numbers = NumberAnswers(given[0][:, 0], is_of_person=False)
    whole = identity_audit(*given), identity_audit(*given[:3], numbers)
    monkeypatch.setattr(identity, "_COLUMNS", 3)
    parts = identity_audit(*given), identity_audit(*given[:3], numbers)
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other)


def test_constant_and_missing_features_and_layers():
    features, persons, halves, answers = trials(5.0)
    unknown = features.copy()
    unknown[::7, 0] = np.nan
    assert identity_audit(unknown, persons, halves, answers)["accuracy"] > 0.9
    nothing = identity_audit(np.ones((len(features), 3)), persons, halves, answers)
    assert (nothing["between_persons"], nothing["of_answer"]) == (0.0, 0.0)
    layers = np.stack([np.ones_like(features), features], axis=1)
    assert identity_audit(layers, persons, halves, answers) == identity_audit(features, persons, halves, answers)
    empty = identity_audit(features[:, :0], persons, halves, answers)
    assert (empty["between_persons"], empty["of_answer"]) == (0.0, 0.0)


def test_halves_are_recordings_or_times_and_share_no_sample():
    of_two = [("a1", start) for start in range(0, 1000, 100)] + [("a2", 0), ("a2", 100)]
    of_one = [("b", start) for start in range(0, 1000, 100)]
    alone = [("c", 0)]
    windows = pd.DataFrame([*of_two, *of_one, *alone], columns=["recording_id", "start"]).assign(n_samples=200)
    persons = np.repeat([0, 1, 2], [len(of_two), len(of_one), len(alone)])
    halves = halves_of_persons(windows, persons)
    assert halves[:12].tolist() == [0] * 10 + [1] * 2
    assert halves[12:22].tolist() == [0, 0, 0, 0, APART, 1, 1, 1, 1, 1]
    assert halves[22] == APART
    table = windows.assign(half=halves)[12:22]
    first, second = (table[table["half"] == half]["start"].to_numpy() for half in (0, 1))
    assert first.max() + 200 <= second.min()


def test_persons_without_two_halves_are_left_out():
    features, persons, halves, answers = trials(5.0)
    halves[persons >= 2] = APART
    assert identity_audit(features, persons, halves, answers)["chance"] == 0.5
    halves[persons == 1] = 0
    found = identity_audit(features, persons, halves, answers)
    assert (found["accuracy"], found["chance"]) == (None, None)
