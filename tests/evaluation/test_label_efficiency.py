import numpy as np
import pytest

from eegfm.evaluation.answers import ClassAnswers, NumberAnswers
from eegfm.evaluation.config import FitParams
from eegfm.evaluation.crossval import predict_held_out
from eegfm.evaluation.label_efficiency import _orders, _training_rows, label_efficiency, order_of_persons
from eegfm.evaluation.summary import PersonScores

PARAMS = FitParams(lambdas=(0.1, 10.0))
RATIOS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


def trials(n_persons=20, n_each=12, seed=0):
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(n_persons), n_each)
    classes = np.tile([0, 1], n_persons * n_each // 2)
    features = rng.normal(size=(len(persons), 30)) + rng.normal(size=(n_persons, 30))[persons]
    features[:, 0] += 1.5 * classes
    return features, ClassAnswers(classes, ("a", "b")), persons


def names_of(persons):
    return [f"p{k}" for k in range(persons.max() + 1)]


def curve(features, answers, persons, folds=None, ratios=RATIOS, params=PARAMS, seed=0):
    names = names_of(persons)
    given = {"encoder": [features], "nothing": [features[:, :0]]}
    return label_efficiency(
        given, answers, persons, persons % 5 if folds is None else folds, names, params,
        ratios=ratios, n_bootstrap=100, seed=seed,
    )  # fmt: skip


def test_all_labels_give_the_score_of_the_probe():
    features, answers, persons = trials()
    [row] = curve(features, answers, persons, ratios=(1.0,))
    run = predict_held_out(features, answers, persons, persons % 5, PARAMS)
    expected = PersonScores([run], answers, persons, [f"p{k}" for k in range(20)]).to_dict(n_bootstrap=100, seed=0)
    del expected["lambdas"]
    assert row["scores"]["encoder"] == expected
    assert row["n_persons"] == [16, 16]
    assert row["scores"]["nothing"]["balanced_accuracy"]["pooled"] == 0.5


def test_more_labels_help_and_too_few_say_so():
    rows = curve(*trials())
    assert [row["ratio"] for row in rows] == list(RATIOS)
    assert [row["n_persons"] for row in rows] == [[0, 0], [1, 1], [2, 2], [4, 4], [8, 8], [16, 16]]
    assert rows[0]["too_few"] == "0 training persons in a fold; take a larger share, or more persons"
    assert "1 training persons cannot be divided to choose among 2 penalties" in rows[1]["too_few"]
    assert all(("scores" in row) != ("too_few" in row) for row in rows)
    scores = [row["scores"]["encoder"]["balanced_accuracy"]["pooled"] for row in rows[2:]]
    assert scores[-1] > scores[0] + 0.05


def test_shares_are_nested_and_leave_the_fold_out():
    _, answers, persons = trials()
    folds = persons % 5
    orders = _orders(answers, persons, folds, names_of(persons), 3)
    before = [np.zeros(len(persons), dtype=bool)] * 5
    for ratio in RATIOS:
        now = _training_rows(orders, persons, ratio)
        for fold in range(5):
            assert not (now[fold] & (folds == fold)).any()
            assert (before[fold] <= now[fold]).all()
        before = now
    others = _orders(answers, persons, folds, names_of(persons), 4)
    assert all((one != other).any() for one, other in zip(orders, others, strict=True))


def test_answers_of_tested_persons_do_not_decide_who_is_trained_on():
    """Persons of one class each: with permuted answers, the persons of a fold are of other kinds."""
    persons = np.repeat(np.arange(30), 2)
    folds, names = persons % 5, names_of(persons)
    numbers = (persons % 3 == 0).astype(np.int64)
    for fold in range(5):
        tested = folds == fold
        other = numbers.copy()
        other[tested] = 1 - other[tested]
        one, two = (
            _training_rows(_orders(ClassAnswers(found, ("a", "b")), persons, folds, names, 0), persons, 0.3)
            for found in (numbers, other)
        )
        assert (one[fold] == two[fold]).all()
        assert any((one[k] != two[k]).any() for k in range(5)), "they decide in folds that train on them"


@pytest.mark.parametrize("n_rare", [2, 5])
def test_every_beginning_keeps_all_classes(n_rare):
    """Persons of one class each: the rare class is there from two persons on, and in proportion behind."""
    persons = np.repeat(np.arange(51), 3)
    folds = np.where(persons == 50, 0, -1)  # the last one is tested, the others are trained on
    answers = ClassAnswers((persons < n_rare).astype(np.int64), ("common", "rare"))
    for seed in range(5):
        [order] = _orders(answers, persons, folds, names_of(persons), seed)
        assert sorted(order) == list(range(50))
        is_rare = order < n_rare
        assert is_rare[:4].sum() == 2
        assert all(is_rare[:k].sum() <= max(2, np.ceil(n_rare * k / 50) + 1) for k in range(1, 51))


def test_persons_of_numbers_are_drawn_by_chance():
    persons = np.repeat(np.arange(10), 4)
    answers = NumberAnswers(np.random.default_rng(0).normal(size=40), is_of_person=False)
    features = answers.numbers[:, None] + np.random.default_rng(1).normal(size=(40, 3))
    rows = curve(features, answers, persons, ratios=(0.5,))
    assert rows[0]["scores"]["encoder"]["r2"]["pooled"] > rows[0]["scores"]["nothing"]["r2"]["pooled"]


def test_answers_of_persons_outside_the_share_change_nothing():
    features, answers, persons = trials()
    orders = _orders(answers, persons, persons % 5, names_of(persons), 0)
    outside = ~np.logical_or.reduce(_training_rows(orders, persons, 0.5))
    assert outside.any()
    other = answers.numbers.copy()
    other[outside] = 1 - other[outside]
    changed = ClassAnswers(other, answers.classes)
    one, two = (curve(features, asked, persons, ratios=(0.5,))[0]["scores"] for asked in (answers, changed))
    own, others = (found["encoder"]["balanced_accuracy"]["per_person"] for found in (one, two))
    for person in np.unique(persons):
        is_outside = outside[persons == person].all()
        assert others[f"p{person}"] == pytest.approx(1 - own[f"p{person}"] if is_outside else own[f"p{person}"])


def test_more_persons_move_nobody_of_the_same_kind():
    names, has_answer = [f"p{k}" for k in range(30)], np.arange(30)[:, None] % 3 == [0, 1]
    most, fewer = order_of_persons(names, has_answer, 1), order_of_persons(names[:20], has_answer[:20], 1)
    for kind in range(3):
        later = [k for k in most if k % 3 == kind and k < 20]
        assert later == [k for k in fewer if k % 3 == kind] != sorted(later)
