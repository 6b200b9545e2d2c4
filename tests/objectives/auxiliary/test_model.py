"""Pretraining on labels alone: all of the loss is that of the heads, and windows without labels give none."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.mixture.labels import LabelFacts
from eegfm.nn.context import Context
from eegfm.objectives.config import AuxiliaryObjectiveConfig
from latent_windows import build, given_features, windows

FACTS = {"age": LabelFacts("regression", mean=30.0, sd=10.0), "sex": LabelFacts("classes", classes=("F", "M"))}
AGE = torch.tensor([20.0, math.nan, 45.0, math.nan])
SEX = torch.tensor([0, 1, -1, -1])
UNKNOWN = {"age": torch.full((4,), math.nan), "sex": torch.full((4,), -1)}


def auxiliary(weighting: str = "fixed") -> Any:
    heads = [{"name": "age", "dropout": 0}, {"name": "sex", "dropout": 0}]
    config = AuxiliaryObjectiveConfig.model_validate({"auxiliary": {"heads": heads, "weighting": weighting}})
    return build(config, labels=FACTS)


def labelled(**targets: Tensor) -> Any:
    return {**windows(4), "targets": targets or {"age": AGE, "sex": SEX}}


def test_the_loss_is_the_weighted_sum_of_the_known_labels_over_all_windows() -> None:
    objective, batch = auxiliary(), labelled()
    output = objective(batch, Context())
    pooled = objective.encoder.encode_with_features(objective.windows(batch, Context())).features.pooled
    said = {name: value.detach().double().numpy() for name, value in objective.auxiliary.predict(pooled).items()}
    age = sum(((said["age"][k] - float(AGE[k])) / 10) ** 2 for k in (0, 2)) / 4
    sex = -sum(np.log(said["sex"][k, SEX[k]]) for k in (0, 1)) / 4
    assert output.loss.item() == pytest.approx(1.0 * age + 0.5 * sex, rel=1e-4)
    assert float(output.logs["loss"]) == pytest.approx(float(output.logs["auxiliary_loss"]))
    torch.testing.assert_close(output.features.features.pooled, pooled)


def test_a_log_of_the_objective_is_never_replaced_by_one_of_the_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = auxiliary()
    own = objective.compute(labelled(), Context())
    monkeypatch.setattr(objective, "compute", lambda *_: own._replace(logs={**own.logs, "age_loss": torch.zeros(())}))
    with pytest.raises(AssertionError, match="both log age_loss"):
        objective(labelled(), Context())


def test_windows_without_any_label_have_no_gradient_and_the_others_have_one() -> None:
    objective, batch = auxiliary(), labelled()
    batch["signal"].requires_grad_()
    objective(batch, Context()).loss.backward()
    assert [bool(part.any()) for part in batch["signal"].grad] == [True, True, True, False]
    assert not [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_a_label_that_nobody_has_gives_nothing(weighting: str) -> None:
    objective = auxiliary(weighting)
    output = objective(labelled(age=UNKNOWN["age"], sex=SEX), Context())
    output.loss.backward()
    age, sex = objective.auxiliary.heads
    assert not any(p.grad is not None and p.grad.any() for p in age.parameters())
    assert all(p.grad.any() for p in sex.parameters())
    neither = objective(labelled(**UNKNOWN), Context())
    assert neither.loss.item() == 0
    objective.zero_grad()
    neither.loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in objective.parameters())


def test_a_constant_encoder_knows_no_more_than_the_mean_and_the_shares() -> None:
    """The best that heads can do with it: the variance of the ages, and the entropy of the classes."""
    objective = auxiliary()
    given_features(objective, torch.ones(4, objective.encoder.d_model))
    batch = labelled(age=torch.tensor([20.0, 30.0, 40.0, 50.0]), sex=torch.tensor([0, 0, 0, 1]))
    optimizer = torch.optim.Adam(objective.auxiliary.parameters(), lr=0.03)
    for _ in range(150):
        loss = objective(batch, Context()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert float(loss.detach()) == pytest.approx(1.25 + 0.5 * entropy, rel=1e-3)
