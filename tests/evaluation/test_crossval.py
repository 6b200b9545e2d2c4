import logging

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.preprocessing import StandardScaler

from eegfm import progress
from eegfm.errors import SplitError
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import check_divisions, predict_held_out, predict_rows
from eegfm.evaluation.metrics import balanced_accuracy, confusions_by_person, r_squared
from eegfm.evaluation.penalty import choose_penalty

PARAMS = FitParams()


def of_classes(classes, n_classes):
    return ClassAnswers(classes, tuple(map(str, range(n_classes))))


def held_out(features, classes, persons, folds, n_classes, params):
    return predict_held_out(features, of_classes(classes, n_classes), persons, folds, params)


def chosen(features, classes, persons, n_classes, params):
    answers = of_classes(classes, n_classes)
    return choose_penalty(answers.fit(features, params), answers, persons, params).value


def divided(classes, persons, folds, n_classes, params):
    check_divisions(of_classes(classes, n_classes), persons, folds, params)


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


@pytest.mark.parametrize("method", ["ridge", "logistic", "knn"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_folds", [8, 3])
def test_finds_a_planted_effect(method, n_classes, n_folds):
    features, classes, persons = _trials(effect=1.5, n_classes=n_classes, n_each=12)
    params = FitParams(method="knn") if method == "knn" else FitParams(method=method, lambdas=(0.01, 1.0, 100.0))
    found = held_out(features, classes, persons, persons % n_folds, n_classes, params)
    assert _score(classes, found.predicted, n_classes) > 0.8
    assert len(found.chosen[params.strength]) == n_folds


def test_long_fits_say_how_far_they_are(caplog, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    features, classes, persons = _trials(n_persons=4)
    with caplog.at_level(logging.INFO):
        held_out(features, classes, persons, persons, 2, PARAMS)
    assert caplog.messages == [f"Probe: fold {k} of 4 is fitted" for k in (1, 2, 3, 4)]


def test_score_is_of_the_second_class():
    features, classes, persons = _trials(effect=3.0)
    found = held_out(features, classes, persons, persons, 2, PARAMS)
    np.testing.assert_array_equal(found.scores > 0, found.predicted == 1)


def test_shuffled_labels_give_chance():
    scores = []
    for seed in range(10):
        features, classes, persons = _trials(effect=1.5, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(classes)
        found = held_out(features, shuffled, persons, persons, 2, PARAMS)
        scores.append(_score(shuffled, found.predicted))
    assert np.mean(scores) == pytest.approx(0.5, abs=0.06)


def test_person_identity_alone_predicts_nothing():
    # Every person has one class: a probe that had seen the held-out person would be perfect.
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(20), 10)
    features = 5 * rng.normal(size=(20, 40))[persons] + 0.1 * rng.normal(size=(200, 40))
    classes = np.repeat(rng.permutation(np.arange(20) % 2), 10)
    found = held_out(features, classes, persons, persons, 2, PARAMS)
    assert _score(classes, found.predicted) < 0.75


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_labels_of_the_held_out_person_change_nothing(method):
    params = FitParams(method=method, lambdas=(0.01, 1.0, 100.0))
    features, classes, persons = _trials(effect=0.6)
    poisoned = classes.copy()
    poisoned[persons == 2] = 1 - poisoned[persons == 2]
    before = held_out(features, classes, persons, persons, 2, params)
    after = held_out(features, poisoned, persons, persons, 2, params)
    assert before.chosen["lambdas"][2] == after.chosen["lambdas"][2]
    np.testing.assert_array_equal(before.scores[persons == 2], after.scores[persons == 2])
    assert (before.scores != after.scores).any()


def test_features_of_the_held_out_person_change_nothing_for_others():
    features, classes, persons = _trials(effect=0.6)
    moved = features.copy()
    moved[persons == 2] *= 1e6
    before = chosen(features[persons != 2], classes[persons != 2], persons[persons != 2], 2, PARAMS)
    assert held_out(moved, classes, persons, persons, 2, PARAMS).chosen["lambdas"][2] == before


def test_strongest_of_equal_penalties_is_chosen():
    features, classes, persons = _trials(effect=50.0)
    assert chosen(features, classes, persons, 2, PARAMS) == max(PARAMS.lambdas)


def test_the_better_penalty_is_chosen():
    # Many noise features and a weak effect: almost no penalty must lose.
    features, classes, persons = _trials(effect=0.8, n_features=150)
    params = FitParams(lambdas=(1e-6, 3.0))
    assert chosen(features, classes, persons, 2, params) == 3.0


def test_row_order_changes_nothing():
    features, classes, persons = _trials(effect=0.6)
    order = np.random.default_rng(1).permutation(len(classes))
    one = held_out(features, classes, persons, persons, 2, PARAMS)
    two = held_out(features[order], classes[order], persons[order], persons[order], 2, PARAMS)
    assert one.chosen == two.chosen
    np.testing.assert_allclose(one.scores[order], two.scores, atol=1e-9)


def test_persons_of_one_fold_do_not_teach_each_other():
    """What one of two persons held out together has changes nothing for the other."""
    features, classes, persons = _trials(effect=0.6)
    folds = persons // 2
    poisoned = classes.copy()
    poisoned[persons == 3] = 1 - poisoned[persons == 3]
    before, after = (held_out(features, c, persons, folds, 2, PARAMS) for c in (classes, poisoned))
    np.testing.assert_array_equal(before.scores[persons == 2], after.scores[persons == 2])
    assert (before.scores[folds != 1] != after.scores[folds != 1]).any()


def test_a_person_in_two_folds_is_refused():
    features, classes, persons = _trials()
    with pytest.raises(SplitError, match=r"8 persons are both trained on and tested \(first: number 0\)"):
        held_out(features, classes, persons, np.arange(len(classes)) % 3, 2, PARAMS)


def test_missing_class_says_the_counts():
    features, _, persons = _trials(n_persons=4, n_each=5)
    with pytest.raises(SplitError, match=r"fold 3 of 4: .*\[15, 0\]"):
        held_out(features, (persons == 3).astype(np.int64), persons, persons, 2, PARAMS)
    one_class_each = (persons[:10] == 1).astype(np.int64)
    with pytest.raises(SplitError, match="2 training persons cannot be divided"):
        chosen(features[:10], one_class_each, persons[:10], 2, PARAMS)


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
        params = FitParams(lambdas=lambdas, **({} if len(lambdas) == 1 else {"inner_folds": 3}))
        labels = (classes[order], persons[order], folds[order], n_classes, params)
        ahead = _refusal(divided, *labels)
        assert ahead == _refusal(held_out, rng.normal(size=(len(persons), 4)), *labels)
        said.append(ahead)
    assert {None} < {*said}
    assert len({*said}) > 5


def _numbers(*, n_persons=10, n_each=12, n_features=6, noise=0.3, seed=0):
    """Windows whose number shows in the first feature, and depends on the person too."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(n_persons), n_each)
    numbers = 30 + 4 * (rng.normal(size=n_persons)[persons] + rng.normal(size=len(persons)))
    features = rng.normal(size=(len(persons), n_features))
    features[:, 0] = (numbers - 30) / 4 + noise * rng.normal(size=len(persons))
    return features, NumberAnswers(numbers, is_of_person=False), persons


def _by_hand(features, numbers, persons, folds, lambdas, inner_folds):
    """The same in scikit-learn's parts, fold by fold and penalty by penalty."""
    predicted, chosen_lambdas = np.empty(len(numbers)), []
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        scaler = StandardScaler().fit(features[train])
        x, y, groups = (
            scaler.transform(features[train]),
            numbers[train],
            np.unique(persons[train], return_inverse=True)[1],
        )
        errors = []
        for penalty in lambdas:
            squares = 0.0
            for inner in range(inner_folds):
                fit, held = groups % inner_folds != inner, groups % inner_folds == inner
                squares += ((_ridge(x[fit], y[fit], penalty).predict(x[held]) - y[held]) ** 2).sum()
            errors.append(squares)
        chosen_lambdas.append(lambdas[int(np.argmin(errors))])
        predicted[test] = _ridge(x, y, chosen_lambdas[-1]).predict(scaler.transform(features[test]))
    return predicted, tuple(chosen_lambdas)


def _ridge(x, y, penalty):
    return Ridge(alpha=penalty * len(x)).fit(x, y)


@pytest.mark.parametrize("n_features", [6, 200])
def test_numbers_agree_with_scikit_learn(n_features):
    features, answers, persons = _numbers(n_features=n_features, noise=1.0)
    params = FitParams(lambdas=(1e-3, 1e-2, 0.1, 1.0, 10.0), inner_folds=3)
    found = predict_held_out(features, answers, persons, persons % 5, params)
    expected, lambdas = _by_hand(features, answers.numbers, persons, persons % 5, params.lambdas, 3)
    assert found.chosen == {"lambdas": lambdas}
    np.testing.assert_allclose(found.predicted, expected, rtol=1e-8)
    np.testing.assert_array_equal(found.scores, found.predicted)
    if n_features > 6:
        assert min(lambdas) > min(params.lambdas), "a weak penalty loses among many features"


def test_the_penalty_of_numbers_is_that_of_ridge_cv():
    """``RidgeCV`` with the persons as its folds; equal groups make its mean of errors the pooled error."""
    features, answers, persons = _numbers(n_persons=9, n_features=60, noise=0.5)
    features = StandardScaler().fit_transform(features)
    lambdas = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    groups = [(np.flatnonzero(persons % 3 != k), np.flatnonzero(persons % 3 == k)) for k in range(3)]
    theirs = RidgeCV([penalty * 72 for penalty in lambdas], cv=groups, scoring="neg_mean_squared_error")
    theirs.fit(features, answers.numbers)
    params = FitParams(lambdas=lambdas, inner_folds=3)
    found = choose_penalty(answers.fit(features, params), answers, persons, params).value
    assert found * 72 == pytest.approx(theirs.alpha_)
    assert found not in (min(lambdas), max(lambdas))


def test_numbers_of_the_held_out_person_change_nothing():
    features, answers, persons = _numbers()
    moved = NumberAnswers(np.where(persons == 2, 1e3, answers.numbers), is_of_person=False)
    before, after = (predict_held_out(features, one, persons, persons, PARAMS) for one in (answers, moved))
    assert before.chosen["lambdas"][2] == after.chosen["lambdas"][2]
    np.testing.assert_array_equal(before.predicted[persons == 2], after.predicted[persons == 2])
    assert (before.predicted != after.predicted).any()


def test_the_strongest_penalty_predicts_the_mean_of_training():
    features, answers, persons = _numbers()
    found = predict_held_out(features, answers, persons, persons, FitParams(lambdas=(1e9,)))
    for person in range(10):
        mean = answers.numbers[persons != person].mean()
        np.testing.assert_allclose(found.predicted[persons == person], mean, rtol=1e-7)


def test_the_number_of_a_person_says_nothing_of_others():
    """Every person has a number and a place among the features: only a probe that saw the person would know it."""
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(30), 8)
    features = 5 * rng.normal(size=(30, 40))[persons] + 0.1 * rng.normal(size=(240, 40))
    answers = NumberAnswers(rng.normal(10, 3, 30)[persons], is_of_person=True)
    found = predict_held_out(features, answers, persons, persons, PARAMS)
    sums = answers.sums_of_means(found.predicted, persons, 30)
    assert float(r_squared(sums.sum(axis=0))) < 0.2


def test_one_training_person_cannot_choose_a_penalty():
    """As with three persons in two groups: known ahead, and in the same words."""
    features, answers, persons = _numbers(n_persons=3)
    folds = np.minimum(persons, 1)
    said = "1 training persons cannot be divided to choose among 17 penalties"
    with pytest.raises(SplitError, match=said):
        check_divisions(answers, persons, folds, PARAMS)
    with pytest.raises(SplitError, match=said):
        predict_held_out(features, answers, persons, folds, PARAMS)


METHODS = [FitParams(lambdas=(0.01, 1.0, 100.0)), FitParams(method="knn"), FitParams(layers="chosen")]
METHODS += [FitParams(method="logistic", lambdas=(0.1, 10.0))]


def _by_name(params):
    return f"{params.method}-{params.layers}"


def _rows(persons, *tested):
    test = np.isin(persons, tested)
    return ~test, test


@pytest.mark.parametrize("params", METHODS, ids=_by_name)
def test_answers_of_test_persons_are_never_looked_at(params):
    """A leak of answers, into the fit or into a choice, would change what is predicted."""
    features, classes, persons = _trials(effect=0.6)
    layers = np.stack([features, features**2], axis=1) if params.layers == "chosen" else features
    train, test = _rows(persons, 2, 5)
    before = predict_rows(layers, of_classes(classes, 2), persons, train, test, params)
    for seed in range(3):
        other = classes.copy()
        other[test] = np.random.default_rng(seed).integers(2, size=int(test.sum()))
        after = predict_rows(layers, of_classes(other, 2), persons, train, test, params)
        np.testing.assert_array_equal(before.scores, after.scores)
        assert before.chosen == after.chosen


@pytest.mark.parametrize("params", METHODS, ids=_by_name)
def test_a_person_on_both_sides_is_refused(params):
    features, classes, persons = _trials()
    train, test = _rows(persons, 2)
    train[np.flatnonzero(test)[:1]] = True
    with pytest.raises(SplitError, match=r"1 persons are both trained on and tested \(first: number 2\)"):
        predict_rows(features, of_classes(classes, 2), persons, train, test, params)


def test_some_windows_may_be_on_neither_side():
    features, classes, persons = _trials()
    answers = of_classes(classes, 2)
    train, test = persons < 4, persons == 6
    found = predict_rows(features, answers, persons, train, test, PARAMS)
    kept = train | test
    alone = predict_rows(features[kept], answers.at(kept), persons[kept], train[kept], test[kept], PARAMS)
    np.testing.assert_array_equal(found.predicted, alone.predicted)
    assert found.predicted.shape == (20,)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_features_the_most_frequent_class_is_predicted(n_classes):
    rng = np.random.default_rng(0)
    persons, classes = (
        np.arange(120) % 6,
        rng.choice(n_classes, 120, p=[0.2, 0.8] if n_classes == 2 else [0.2, 0.3, 0.5]),
    )
    train, test = _rows(persons, 0, 1)
    nothing = np.empty((120, 0))
    found = predict_rows(nothing, of_classes(classes, n_classes), persons, train, test, PARAMS)
    theirs = DummyClassifier().fit(nothing[train], classes[train])
    np.testing.assert_array_equal(found.predicted, theirs.predict(nothing[test]))
    assert found.chosen == {}
    numbers = rng.normal(size=120)
    of_numbers = predict_rows(nothing, NumberAnswers(numbers, is_of_person=False), persons, train, test, PARAMS)
    mean = DummyRegressor().fit(nothing[train], numbers[train]).predict(nothing[test])
    np.testing.assert_allclose(of_numbers.scores, mean)


def test_the_layer_that_serves_training_persons_is_chosen():
    features, classes, persons = _trials(effect=3.0)
    noise = np.random.default_rng(1).normal(size=features.shape)
    params = FitParams(layers="chosen", lambdas=(0.01, 1.0, 100.0))
    for best in range(3):
        layers = np.stack([features if k == best else noise for k in range(3)], axis=1)
        found = held_out(layers, classes, persons, persons, 2, params)
        assert found.chosen["layers"] == (best + 1,) * 8
        alone = held_out(features, classes, persons, persons, 2, FitParams(lambdas=(0.01, 1.0, 100.0)))
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_the_deepest_of_equal_layers_is_chosen_even_with_one_penalty():
    features, classes, persons = _trials()
    layers = np.stack([features] * 3, axis=1)
    found = held_out(layers, classes, persons, persons, 2, FitParams(layers="chosen", lambdas=(1.0,)))
    assert found.chosen == {"lambdas": (1.0,) * 8, "layers": (3,) * 8}


def test_the_number_of_neighbours_is_chosen_on_training_persons():
    features, classes, persons = _trials(effect=1.0, n_each=30)
    found = held_out(features, classes, persons, persons, 2, FitParams(method="knn", neighbours=(1, 50)))
    assert found.chosen == {"neighbours": (50.0,) * 8}, "noise wants many"
    assert _score(classes, found.predicted) > 0.75
