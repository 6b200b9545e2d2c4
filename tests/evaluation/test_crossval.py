import logging

import numpy as np
import pytest

from eegfm import progress
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.crossval import check_divisions, predict_held_out
from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person
from eegfm.evaluation.penalty import choose_penalty

PARAMS = ProbeParams(task="eyes")


def _trials(*, effect=1.0, n_persons=8, n_each=20, n_features=12, n_classes=2, seed=0):
    """Windows of persons who differ from each other; classes shift the first features."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(n_persons), n_each)
    classes = np.tile(np.arange(n_each) % n_classes, n_persons)
    features = rng.normal(size=(len(persons), n_features)) + rng.normal(size=(n_persons, n_features))[persons]
    features[np.arange(len(persons)), classes] += 2 * effect
    return features, classes, persons


def _score(classes, predicted, n_classes=2):
    nobody = np.zeros(len(classes), dtype=np.int64)
    return float(balanced_accuracy(confusions_by_person(nobody, 1, classes, predicted, n_classes))[0])


@pytest.mark.parametrize("method", ["ridge", "logistic"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_folds", [8, 3])
def test_finds_a_planted_effect(method, n_classes, n_folds):
    features, classes, persons = _trials(effect=1.5, n_classes=n_classes, n_each=12)
    params = ProbeParams(task="eyes", method=method, lambdas=(0.01, 1.0, 100.0))
    found = predict_held_out(features, classes, persons, persons % n_folds, n_classes, params)
    assert _score(classes, found.predicted, n_classes) > 0.8
    assert len(found.lambdas) == n_folds


def test_long_fits_say_how_far_they_are(caplog, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    features, classes, persons = _trials(n_persons=4)
    with caplog.at_level(logging.INFO):
        predict_held_out(features, classes, persons, persons, 2, PARAMS)
    assert caplog.messages == [f"Probe: fold {k} of 4 is fitted" for k in (1, 2, 3, 4)]


def test_score_is_of_the_second_class():
    features, classes, persons = _trials(effect=3.0)
    found = predict_held_out(features, classes, persons, persons, 2, PARAMS)
    np.testing.assert_array_equal(found.scores > 0, found.predicted == 1)


def test_shuffled_labels_give_chance():
    scores = []
    for seed in range(10):
        features, classes, persons = _trials(effect=1.5, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(classes)
        found = predict_held_out(features, shuffled, persons, persons, 2, PARAMS)
        scores.append(_score(shuffled, found.predicted))
    assert np.mean(scores) == pytest.approx(0.5, abs=0.06)


def test_person_identity_alone_predicts_nothing():
    # Every person has one class: a probe that had seen the held-out person would be perfect.
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(20), 10)
    features = 5 * rng.normal(size=(20, 40))[persons] + 0.1 * rng.normal(size=(200, 40))
    classes = np.repeat(rng.permutation(np.arange(20) % 2), 10)
    found = predict_held_out(features, classes, persons, persons, 2, PARAMS)
    assert _score(classes, found.predicted) < 0.75


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_labels_of_the_held_out_person_change_nothing(method):
    params = ProbeParams(task="eyes", method=method, lambdas=(0.01, 1.0, 100.0))
    features, classes, persons = _trials(effect=0.6)
    poisoned = classes.copy()
    poisoned[persons == 2] = 1 - poisoned[persons == 2]
    before = predict_held_out(features, classes, persons, persons, 2, params)
    after = predict_held_out(features, poisoned, persons, persons, 2, params)
    assert before.lambdas[2] == after.lambdas[2]
    np.testing.assert_array_equal(before.scores[persons == 2], after.scores[persons == 2])
    assert (before.scores != after.scores).any()


def test_features_of_the_held_out_person_change_nothing_for_others():
    features, classes, persons = _trials(effect=0.6)
    moved = features.copy()
    moved[persons == 2] *= 1e6
    before = choose_penalty(features[persons != 2], classes[persons != 2], persons[persons != 2], 2, PARAMS)
    assert predict_held_out(moved, classes, persons, persons, 2, PARAMS).lambdas[2] == before


def test_strongest_of_equal_penalties_is_chosen():
    features, classes, persons = _trials(effect=50.0)
    assert choose_penalty(features, classes, persons, 2, PARAMS) == max(PARAMS.lambdas)


def test_the_better_penalty_is_chosen():
    # Many noise features and a weak effect: almost no penalty must lose.
    features, classes, persons = _trials(effect=0.8, n_features=150)
    params = ProbeParams(task="eyes", lambdas=(1e-6, 3.0))
    assert choose_penalty(features, classes, persons, 2, params) == 3.0


def test_row_order_changes_nothing():
    features, classes, persons = _trials(effect=0.6)
    order = np.random.default_rng(1).permutation(len(classes))
    one = predict_held_out(features, classes, persons, persons, 2, PARAMS)
    two = predict_held_out(features[order], classes[order], persons[order], persons[order], 2, PARAMS)
    assert one.lambdas == two.lambdas
    np.testing.assert_allclose(one.scores[order], two.scores, atol=1e-9)


def test_persons_of_one_fold_do_not_teach_each_other():
    """What one of two persons held out together has changes nothing for the other."""
    features, classes, persons = _trials(effect=0.6)
    folds = persons // 2
    poisoned = classes.copy()
    poisoned[persons == 3] = 1 - poisoned[persons == 3]
    before, after = (predict_held_out(features, c, persons, folds, 2, PARAMS) for c in (classes, poisoned))
    np.testing.assert_array_equal(before.scores[persons == 2], after.scores[persons == 2])
    assert (before.scores[folds != 1] != after.scores[folds != 1]).any()


def test_a_person_in_two_folds_is_our_mistake():
    features, classes, persons = _trials()
    with pytest.raises(AssertionError, match="a person is in one fold"):
        predict_held_out(features, classes, persons, np.arange(len(classes)) % 3, 2, PARAMS)


def test_missing_class_says_the_counts():
    features, _, persons = _trials(n_persons=4, n_each=5)
    with pytest.raises(SplitError, match=r"fold 3 of 4: .*\[15, 0\]"):
        predict_held_out(features, (persons == 3).astype(np.int64), persons, persons, 2, PARAMS)
    one_class_each = (persons[:10] == 1).astype(np.int64)
    with pytest.raises(SplitError, match="2 training persons cannot be divided"):
        choose_penalty(features[:10], one_class_each, persons[:10], 2, PARAMS)


def _refusal(check, *args):
    try:
        check(*args)
    except SplitError as error:
        return str(error)
    return None


@pytest.mark.parametrize("lambdas", [(1.0,), (0.1, 1.0)])
def test_what_cannot_be_divided_is_known_without_features(lambdas):
    """Random classes and folds of few persons: the check without features says what the probe would say."""
    rng, said = np.random.default_rng(0), []
    for trial in range(60):
        n_persons, n_classes = int(rng.integers(2, 7)), int(rng.integers(2, 4))
        persons = np.repeat(np.arange(n_persons), 3)
        classes = rng.integers(0, n_classes, len(persons)) if trial % 2 else persons % n_classes
        n_folds = int(rng.integers(2, n_persons + 1))
        folds, order = persons % n_folds, rng.permutation(len(persons))
        params = ProbeParams(task="eyes", lambdas=lambdas, **({} if len(lambdas) == 1 else {"inner_folds": 3}))
        labels = (classes[order], persons[order], folds[order], n_classes, params)
        ahead = _refusal(check_divisions, *labels)
        assert ahead == _refusal(predict_held_out, rng.normal(size=(len(persons), 4)), *labels)
        said.append(ahead)
    assert {None} < {*said}
    assert len({*said}) > 5
