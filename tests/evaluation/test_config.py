"""What a user may write about a probe."""

from typing import Any

import pytest
from pydantic import ValidationError

from eegfm.config import first_problem
from eegfm.evaluation.config import HALF_DECADES, FitParams, ProbeParams


def test_folds_are_part_of_the_split() -> None:
    with pytest.raises(ValidationError, match="folds"):
        ProbeParams.model_validate({"tasks": ["eyes"], "folds": 5})


@pytest.mark.parametrize("lambdas", [[], [0.0], [-1.0], [float("nan")]])
def test_penalties_are_positive(lambdas: list[float]) -> None:
    with pytest.raises(ValidationError, match="lambdas"):
        ProbeParams.model_validate({"tasks": ["eyes"], "lambdas": lambdas})
    with pytest.raises(ValidationError, match="lambdas"):
        ProbeParams.model_validate({"tasks": [{"name": "eyes", "lambdas": lambdas}]})


def test_a_name_is_a_task() -> None:
    params = ProbeParams.model_validate({"tasks": ["eyes", {"name": "age"}, {"name": "old", "cut": "age"}]})
    assert [(task.name, task.own_cut, task.corpus, task.own) for task in params.tasks] == [
        ("eyes", "eyes", "", {}), ("age", "age", "", {}), ("old", "age", "", {}),
    ]  # fmt: skip
    assert ProbeParams.model_validate(params.model_dump()) == params


def test_choices_of_a_task_go_before_those_of_the_probe() -> None:
    own = {"name": "b", "method": "logistic", "pooling": "mean", "transductive": True, "lambdas": [1, 2]}
    params = ProbeParams.model_validate({"tasks": ["a", own], "transductive": False, "inner_folds": 3})
    first, second = (params.fit(task) for task in params.tasks)
    assert first == FitParams(transductive=False, inner_folds=3)
    assert second == FitParams(method="logistic", pooling="mean", lambdas=(1, 2), inner_folds=3)


def test_inner_folds_of_the_probe_do_not_concern_a_task_with_one_penalty() -> None:
    params = ProbeParams.model_validate({"tasks": ["a", {"name": "b", "lambdas": [1]}], "inner_folds": 3})
    assert [params.fit(task).inner_folds for task in params.tasks] == [3, 5]
    assert params.fit(params.tasks[0]).lambdas == HALF_DECADES


def test_a_task_with_another_method_does_not_take_what_that_method_never_uses() -> None:
    near, linear = {"name": "b", "method": "knn"}, {"name": "c", "method": "ridge"}
    params = ProbeParams.model_validate({"tasks": ["a", near], "lambdas": [1, 2]})
    assert params.fit(params.tasks[1]) == FitParams(method="knn")
    params = ProbeParams.model_validate({"tasks": ["a", linear], "method": "knn", "distance": "euclidean"})
    assert params.fit(params.tasks[0]) == FitParams(method="knn", distance="euclidean")
    assert params.fit(params.tasks[1]) == FitParams()


def test_a_layer_can_be_chosen_with_one_penalty() -> None:
    assert FitParams(layers="chosen", lambdas=(1.0,), inner_folds=3).has_choice
    one = {"name": "b", "lambdas": [1]}
    params = ProbeParams.model_validate({"tasks": [one], "layers": "chosen", "inner_folds": 3})
    assert params.fit(params.tasks[0]).inner_folds == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "tasks\n  Field required"),
        ({"tasks": []}, "tasks\n  Tuple should have at least 1 item"),
        ({"tasks": "eyes"}, r"must be a list, such as \[eyes\]"),
        ({"tasks": ["a", "b", "a"]}, "task a is listed twice"),
        ({"tasks": ["a", {"name": "a", "corpus": "x"}, {"name": "a", "corpus": "x"}]}, "task x.a is listed twice"),
        ({"tasks": [""]}, "at least 1 character"),
        ({"tasks": [{"name": "a", "n_untrained": 2}]}, "n_untrained\n  Extra inputs are not permitted"),
        ({"tasks": ["a"], "lambdas": [1], "inner_folds": 3}, "inner_folds is not used where lambdas has one value"),
        ({"tasks": [{"name": "a", "lambdas": [1], "inner_folds": 3}]}, "task 'a': .*inner_folds is not used"),
        ({"tasks": ["a"], "neighbours": [3]}, "neighbours is not used by method ridge; leave it out"),
        ({"tasks": ["a"], "method": "knn", "lambdas": [3]}, "lambdas is not used by method knn; leave it out"),
        ({"tasks": ["a"], "method": "knn", "neighbours": [3], "inner_folds": 2}, "where neighbours has one value"),
        ({"tasks": [{"name": "a", "distance": "euclidean"}]}, "task 'a': .*distance is not used by method ridge"),
        ({"tasks": ["a"], "label_ratios": [0.5, 0]}, "label_ratios.1\n  Input should be greater than 0"),
        ({"tasks": [{"name": "a", "kind": "retrieval"}], "layers": "chosen"}, "task 'a': a retrieval fits nothing"),
        ({"tasks": ["a"], "task": "a"}, "task\n  Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_mistakes(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match="(?s)" + message):
        ProbeParams.model_validate(given)


def test_a_retrieval_has_candidates_and_fits_nothing() -> None:
    task = ProbeParams(tasks=[{"name": "moments", "kind": "retrieval", "cut": "movies"}]).tasks[0]
    assert (task.n_candidates, task.own_cut) == (64, "movies")
    for options in ({"method": "ridge"}, {"lambdas": [1.0]}, {"inner_folds": 3}):
        with pytest.raises(ValidationError, match="is not used by a retrieval, which fits nothing; leave it out"):
            ProbeParams(tasks=[{"name": "moments", "kind": "retrieval", **options}])
    with pytest.raises(ValidationError, match="candidates is not used where kind is answer"):
        ProbeParams(tasks=[{"name": "eyes", "candidates": 8}])


def test_a_trained_head_has_controls_in_closed_form() -> None:
    given = {"tasks": ["a"], "method": "linear_probe", "lambdas": [1, 2], "inner_folds": 3, "pooling": "mean"}
    params = ProbeParams.model_validate({**given, "training": {"n_epochs": 3}})
    fit = params.fit(params.tasks[0])
    assert (fit.is_trained, fit.training.n_epochs, fit.transductive) == (True, 3, False)
    assert fit.closed == FitParams(pooling="mean", lambdas=(1, 2), inner_folds=3, transductive=False)
    one = ProbeParams.model_validate({**given, "lambdas": [1]})
    assert one.fit(one.tasks[0]).closed == FitParams(pooling="mean", lambdas=(1,), transductive=False)
    beside = ProbeParams.model_validate({"tasks": ["a", {"name": "b", "method": "ridge"}], "method": "linear_probe"})
    assert beside.fit(beside.tasks[1]).closed == FitParams()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"tasks": [{"name": "m", "kind": "retrieval"}]},
            "task 'm': a retrieval fits nothing, and method linear_probe",
        ),
        ({"label_ratios": [0.5]}, "task 'a': label_ratios are scored by closed forms, and method is linear_probe"),
        ({"layers": "mean"}, "layers is not used by method linear_probe"),
        ({"neighbours": [3]}, "neighbours is not used by method linear_probe"),
        ({"tasks": [{"name": "a", "transductive": True}]}, "task 'a': transductive features are z-scored per person"),
        ({"method": "ridge", "training": {"n_epochs": 3}}, "training is not used by method ridge"),
        ({"method": "lora"}, "method"),
        ({"training": {"epochs": 3}}, "training.epochs"),
    ],
)
def test_what_a_trained_head_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        ProbeParams.model_validate({"tasks": ["a"], "method": "linear_probe", **changes})
    assert said in first_problem(raised.value)
