"""The level that models are compared on, and the table of their scores."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, r2_score, roc_auc_score

from answered_store import TARGETS
from eegfm.jobs.finetune import said as module
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.scores import level_of, score_models

PARAMS = FinetuneParams.model_validate({"tasks": ["binary"], "n_bootstrap": 100})
PERSONS = np.repeat(np.arange(6), 4)


def said_of(kind: str, truths: NDArray[np.generic], persons: NDArray[np.int64] = PERSONS) -> Said:
    names = [f"p{k}" for k in persons]
    recordings = [f"{name}:r" for name in names]
    windows = pd.DataFrame({"corpus": "mine", "recording_id": recordings, "start": np.arange(len(names))})
    windows = windows.assign(person=names, identity=names)
    return Said(TARGETS[kind], {"split": module.TestWindows(windows, truths)})


def test_one_answer_per_person_is_compared_by_persons() -> None:
    rng = np.random.default_rng(0)
    assert level_of(said_of("binary", PERSONS % 2)) == "person"
    assert level_of(said_of("binary", np.arange(24) % 2)) == "window"
    assert level_of(said_of("multilabel", rng.random((6, 4)).round().astype(np.float32)[PERSONS])) == "person"
    assert level_of(said_of("binary", np.arange(24) % 2, np.arange(24))) == "window"


@pytest.mark.parametrize("kind", ["regression", "regressions"])
def test_numbers_that_vary_between_persons_alone(kind: str) -> None:
    rng = np.random.default_rng(0)
    shape = (6, *TARGETS[kind].output_shape)
    of_person = rng.normal(40, 10, shape).astype(np.float32)[PERSONS]
    assert level_of(said_of(kind, of_person)) == "person"
    assert level_of(said_of(kind, of_person + rng.normal(0, 1, of_person.shape).astype(np.float32))) == "person"
    assert level_of(said_of(kind, of_person + rng.normal(0, 20, of_person.shape).astype(np.float32))) == "window"


def test_unknown_answers_do_not_decide_the_level() -> None:
    rng = np.random.default_rng(0)
    classes = PERSONS % 2
    assert level_of(said_of("binary", np.where(rng.random(24) < 0.3, -1, classes))) == "person"
    answers = (rng.random((6, 4)) < 0.5).astype(np.float32)[PERSONS]
    answers[rng.random(answers.shape) < 0.2] = np.nan
    assert level_of(said_of("multilabel", answers)) == "person"
    numbers = rng.normal(40, 10, (6, 1)).astype(np.float32)[PERSONS]
    numbers[[0, 5, 6]] = np.nan
    assert level_of(said_of("regression", numbers)) == "person"
    numbers = rng.normal(40, 10, (24, 1)).astype(np.float32)
    numbers[[0, 5, 6]] = np.nan
    assert level_of(said_of("regression", numbers)) == "window"


def test_scores_are_those_of_scikit_learn_and_json() -> None:
    rng = np.random.default_rng(1)
    truths = rng.integers(0, 2, 24)
    said = said_of("binary", truths)
    positive = {
        "finetuned": np.clip(0.5 + 0.3 * (truths - 0.5) + 0.2 * rng.normal(size=24), 0, 1),
        "scratch": rng.random(24),
    }
    for model, values in positive.items():
        said.add(model, 0, "split", np.stack([1 - values, values], axis=1))
    found = json.loads(json.dumps(score_models(said, PARAMS), allow_nan=False))
    assert (found["level"], found["compared_by"]) == ("window", "balanced_accuracy")
    scores = {}
    for model, values in positive.items():
        block = found["models"][model]["window"]
        scores[model] = balanced_accuracy_score(truths, values > 0.5)
        assert block["balanced_accuracy"]["value"] == pytest.approx(scores[model], abs=1e-9)
        assert block["auroc"]["value"] == pytest.approx(roc_auc_score(truths, values), abs=1e-9)
    difference = found["paired_difference"]["scratch"]
    assert difference["difference"] == pytest.approx(scores["finetuned"] - scores["scratch"], abs=1e-9)
    assert difference["per_person"]["wilcoxon"].keys() == {"statistic", "p"}
    assert "finetuned" not in found["paired_difference"]


def test_numbers_of_persons() -> None:
    rng = np.random.default_rng(2)
    truths = rng.normal(40, 10, (6, 1)).astype(np.float32)[PERSONS]
    said = said_of("regression", truths)
    values = truths + rng.normal(0, 5, truths.shape)
    said.add("finetuned", 0, "split", values)
    found = score_models(said, PARAMS)
    assert found["level"] == "person"
    means = [np.array([v[k == PERSONS].mean() for k in range(6)]) for v in (truths, values)]
    assert found["models"]["finetuned"]["person"]["r2"]["value"] == pytest.approx(r2_score(*means), rel=1e-6)
