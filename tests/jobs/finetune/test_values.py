"""Values of a test: losses of probabilities as scikit-learn computes them, and nothing that is no number."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from answered_windows import TARGETS
from checkpoints import header
from eegfm.jobs.finetune import values as job
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.said import TestWindows as AskedWindows
from eegfm.targets import TargetSpec
from finetuned_results import said_of

N = 40


def _said(target: TargetSpec, truths: Any, n_seeds: int = 1) -> Said:
    half = N // 2
    windows = pd.DataFrame({"start": np.arange(half)})
    found = Said(
        target, {name: AskedWindows(windows, truths[k * half : (k + 1) * half]) for k, name in enumerate("ab")}
    )
    for seed in range(n_seeds):
        whole = said_of(target, truths, seed)
        for k, name in enumerate("ab"):
            found.add("finetuned", seed, name, whole[k * half : (k + 1) * half])
    return found


def _headers(target: TargetSpec, n_seeds: int = 1, **choices: Any) -> dict[int, dict[str, Any]]:
    told = {**target._asdict()}
    one = header(objective={"name": "supervised", "target": told, **choices})
    return {seed: dict.fromkeys("ab", one) for seed in range(n_seeds)}


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_loss_of_classes_seed_by_seed(kind: str) -> None:
    target = TARGETS[kind]
    n = len(target.classes)
    truths = np.arange(N) % n
    said = _said(target, truths, n_seeds=2)
    found = job.losses_of_test(said, _headers(target, 2))
    expected = [log_loss(truths, said.runs("finetuned")[seed], labels=range(n)) for seed in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    weighted = job.losses_of_test(said, _headers(target, 2, class_weights=list(range(1, n + 1))))
    np.testing.assert_allclose(weighted, expected, rtol=1e-9, err_msg="the test counts all classes alike")


def test_loss_of_yes_or_no_leaves_out_what_is_unknown() -> None:
    target = TARGETS["multilabel"]
    truths = (np.random.default_rng(0).random((N, len(target.outputs))) > 0.5).astype(np.float32)
    truths[::5, 0] = np.nan
    said = _said(target, truths)
    known = ~np.isnan(truths)
    yes = np.clip(said.runs("finetuned")[0][known], 1e-12, 1 - 2.0**-25)
    [found] = job.losses_of_test(said, _headers(target))
    assert found == pytest.approx(log_loss(truths[known], yes), rel=1e-6)


def test_loss_of_numbers_is_that_of_standardised_ones() -> None:
    target = TargetSpec("regression", (), (), "s")
    truths = np.random.default_rng(0).normal(5, 2, (N, 1)).astype(np.float32)
    said = _said(target, truths)
    [found] = job.losses_of_test(said, _headers(target, mean=[5.0], sd=[2.0]))
    assert found == pytest.approx(mean_squared_error(truths, said.runs("finetuned")[0]) / 4, rel=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_certain_and_wrong_is_a_number(kind: str) -> None:
    target = TARGETS[kind]
    if kind == "binary":
        truths: Any = np.zeros(N, dtype=np.int64)
        said = np.tile([0.0, 1.0], (N, 1))
    else:
        truths = np.zeros((N, len(target.outputs)), dtype=np.float32)
        said = np.ones(truths.shape)
    found = Said(target, {"split": AskedWindows(pd.DataFrame({"start": np.arange(N)}), truths)})
    found.add("finetuned", 0, "split", said)
    [loss] = job.losses_of_test(found, {0: {"split": _headers(target)[0]["a"]}})
    assert 10 < loss < 100


def test_what_is_not_defined_is_left_out() -> None:
    models = {"finetuned": {"window": {"auroc": {"value": None}, "accuracy": {"value": 0.75}}}}
    trained = [{"val_loss": 1.0, "val_auroc": float("nan"), "n_steps": 3.0}, {"val_loss": 2.0, "val_auroc": 0.5}]
    assert job.values_of(trained, models, [0.25, 0.75]) == {
        "val/loss": 1.5, "val_loss": 1.5, "test/loss": 0.5, "test_loss": 0.5, "test/accuracy": 0.75, "test_acc": 0.75
    }  # fmt: skip
    assert "test/loss" not in job.values_of([], models, []), "a closed form has no loss"
