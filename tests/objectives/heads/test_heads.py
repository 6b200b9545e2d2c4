"""Auxiliary heads against loops in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from eegfm.mixture.labels import LabelFacts
from eegfm.objectives.heads.config import AuxiliaryConfig
from eegfm.objectives.heads.heads import AuxiliaryHeads, uncertainty_loss

FACTS = {
    "age": LabelFacts("regression", mean=30.0, sd=12.0),
    "sex": LabelFacts("classes", classes=("F", "M")),
    "site": LabelFacts("classes", classes=("a", "b", "c")),
}
HEADS = ["age", {"name": "sex", "weight": 0.5}, {"name": "site", "kind": "classes", "weight": 2}]
N_WINDOWS, D = 7, 5


def heads(weighting: str = "fixed", dropout: float = 0.0, names: list[object] | None = None) -> AuxiliaryHeads:
    plain = [{"name": each} if isinstance(each, str) else each for each in names or HEADS]
    config = {"heads": [{"dropout": dropout, "hidden": 16, **each} for each in plain], "weighting": weighting}
    torch.manual_seed(0)
    return AuxiliaryHeads(AuxiliaryConfig.model_validate(config), FACTS, D)


def windows() -> tuple[Tensor, dict[str, Tensor]]:
    features = torch.randn(N_WINDOWS, D, generator=torch.Generator().manual_seed(1))
    age = torch.tensor([20.0, math.nan, 41.0, 35.0, math.nan, 18.0, 60.0])
    sex = torch.tensor([0, 1, -1, -1, 1, 0, 1])
    return features, {"age": age, "sex": sex, "site": torch.tensor([2, 2, 0, 1, 1, -1, 0])}


def said(module: AuxiliaryHeads, number: int, features: Tensor) -> NDArray[np.float64]:
    """(B, K) outputs of one head, in float64."""
    state = {name: value.double().numpy() for name, value in module.state_dict().items()}
    hidden = np.maximum(
        features.double().numpy() @ state[f"heads.{number}.layers.0.weight"].T + state[f"heads.{number}.layers.0.bias"],
        0,
    )
    out: NDArray[np.float64] = hidden @ state[f"heads.{number}.layers.3.weight"].T
    return out + state[f"heads.{number}.layers.3.bias"]


def expected(module: AuxiliaryHeads, features: Tensor, targets: dict[str, Tensor]) -> dict[str, float]:
    """Losses and scores as sums over known labels over the number of all windows, window by window."""
    found: dict[str, float] = {}
    age = said(module, 0, features)[:, 0]
    known = [k for k in range(N_WINDOWS) if not math.isnan(targets["age"][k])]
    found["age_loss"] = sum((age[k] - (float(targets["age"][k]) - 30) / 12) ** 2 for k in known) / N_WINDOWS
    found["age_mae"] = sum(abs(age[k] * 12 + 30 - float(targets["age"][k])) for k in known) / N_WINDOWS
    found["age_known"] = len(known) / N_WINDOWS
    for number, name in ((1, "sex"), (2, "site")):
        logits = said(module, number, features)
        known = [k for k in range(N_WINDOWS) if int(targets[name][k]) >= 0]
        truth = [int(targets[name][k]) for k in known]
        log_likelihood = [
            logits[k, c] - math.log(sum(math.exp(x) for x in logits[k])) for k, c in zip(known, truth, strict=True)
        ]
        found[f"{name}_loss"] = -sum(log_likelihood) / N_WINDOWS
        found[f"{name}_accuracy"] = sum(logits[k].argmax() == c for k, c in zip(known, truth, strict=True)) / N_WINDOWS
        found[f"{name}_known"] = len(known) / N_WINDOWS
    return found


def test_losses_and_logs_are_those_of_a_loop() -> None:
    module, (features, targets) = heads(), windows()
    loss, logs = module(features, targets)
    wanted = expected(module, features, targets)
    total = wanted["age_loss"] + 0.5 * wanted["sex_loss"] + 2 * wanted["site_loss"]
    assert float(loss.detach()) == pytest.approx(total, rel=1e-5)
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(
        {**wanted, "auxiliary_loss": total}, rel=1e-5
    )
    assert not any(value.requires_grad for value in logs.values())


def test_uncertainty_weighs_by_learned_variances() -> None:
    module, (features, targets) = heads("uncertainty"), windows()
    assert module.log_variances is not None
    with torch.no_grad():
        module.log_variances.copy_(torch.tensor([0.3, -0.7, 1.1]))
    loss, logs = module(features, targets)
    of = expected(module, features, targets)
    age = math.exp(-0.3) * of["age_loss"] / 2 + 0.3 / 2 * of["age_known"]
    sex = math.exp(0.7) * of["sex_loss"] - 0.7 / 2 * of["sex_known"]
    site = math.exp(-1.1) * of["site_loss"] + 1.1 / 2 * of["site_known"]
    assert float(loss.detach()) == pytest.approx(age + 0.5 * sex + 2 * site, rel=1e-5)
    assert float(logs["sex_variance"]) == pytest.approx(math.exp(-0.7))


@pytest.mark.parametrize(("is_number", "times"), [(True, 1.0), (False, 2.0)])
def test_the_best_variance_is_the_loss_of_known_labels(is_number: bool, times: float) -> None:
    mean_loss, known = 0.37, 0.25

    def of(log_variance: float) -> float:
        args = (torch.tensor(known * mean_loss), torch.tensor(known), torch.tensor(log_variance, dtype=torch.float64))
        return float(uncertainty_loss(*args, is_number=is_number))

    best = minimize_scalar(of, bounds=(-5, 5), options={"xatol": 1e-9})
    assert math.exp(best.x) == pytest.approx(times * mean_loss, rel=1e-4)


def test_unknown_labels_have_no_gradient() -> None:
    module, (features, targets) = heads(), windows()
    features.requires_grad_()
    module(features, {**targets, "sex": torch.full((N_WINDOWS,), -1), "site": torch.full((N_WINDOWS,), -1)})[
        0
    ].backward()
    assert features.grad is not None
    is_moved = features.grad.abs().sum(dim=1) > 0
    assert is_moved.tolist() == (~targets["age"].isnan()).tolist()


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_nothing_known_is_a_zero_with_gradients_of_zero(weighting: str) -> None:
    module, (features, _) = heads(weighting), windows()
    nothing = {"age": torch.full((N_WINDOWS,), math.nan)}
    nothing |= {name: torch.full((N_WINDOWS,), -1) for name in ("sex", "site")}
    loss, logs = module(features, nothing)
    loss.backward()
    assert float(loss.detach()) == 0
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"{name}: ranks exchange gradients of every weight"
        assert not parameter.grad.any(), name
    assert all(float(value) == 0 for key, value in logs.items() if not key.endswith("_variance"))


def test_all_heads_have_one_weight_together() -> None:
    (features, targets), whole = windows(), heads("uncertainty")
    loss, logs = whole(features, targets)
    whole.config = whole.config.model_copy(update={"weight": 0.1})
    light, light_logs = whole(features, targets)
    assert light.item() == pytest.approx(0.1 * loss.item()) == float(light_logs["auxiliary_loss"])
    assert light_logs["age_loss"] == logs["age_loss"]


def test_parts_of_a_micro_batch_add_up_to_it() -> None:
    module, (features, targets) = heads("uncertainty"), windows()
    whole = module(features, targets)[0]
    parts = [
        module(features[k::R], {name: values[k::R] for name, values in targets.items()})[0] * len(features[k::R])
        for R in (3,)
        for k in range(R)
    ]
    assert float(sum(parts).detach()) / N_WINDOWS == pytest.approx(float(whole.detach()), rel=1e-5)


@pytest.mark.parametrize("shape", [(N_WINDOWS, 1), (1,), (), (N_WINDOWS + 1,)])
def test_labels_of_another_shape_are_no_broadcast(shape: tuple[int, ...]) -> None:
    module, (features, targets) = heads(), windows()
    for name, values in (("age", torch.ones(shape)), ("sex", torch.ones(shape, dtype=torch.int64))):
        with pytest.raises(AssertionError, match="labels"):
            module(features, {**targets, name: values})


def test_predictions_are_in_the_unit_of_the_label() -> None:
    module, (features, _) = heads(dropout=0.5).eval(), windows()
    found = module.predict(features)
    np.testing.assert_allclose(found["age"].numpy(), said(module, 0, features)[:, 0] * 12 + 30, rtol=1e-5)
    logits = said(module, 2, features)
    np.testing.assert_allclose(found["site"].numpy(), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-5)
    assert module.classes() == {"age": (), "sex": ("F", "M"), "site": ("a", "b", "c")}


def test_statistics_are_part_of_the_state() -> None:
    one = heads(names=["age"])
    facts = {"age": LabelFacts("regression", mean=1.0, sd=2.0)}
    other = AuxiliaryHeads(one.config, facts, D)
    other.load_state_dict(one.state_dict())
    features, _ = windows()
    assert torch.equal(other.eval().predict(features)["age"], one.eval().predict(features)["age"])


def test_half_precision_does_not_reach_the_losses() -> None:
    module, (features, targets) = heads("uncertainty"), windows()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = module(features, targets)
    assert loss.dtype == torch.float32
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(module(features, targets)[0].detach()), rel=0.05)
