"""Losses of answers against scikit-learn and loops in float64."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.losses.config import (
    BceConfig,
    CrossEntropyConfig,
    FocalConfig,
    HuberConfig,
    L1Config,
    LossConfig,
    MseConfig,
    default_loss,
)
from eegfm.losses.supervised import supervised_loss
from eegfm.targets import TargetSpec

B = 12
TARGETS = {
    "binary": TargetSpec("binary", ("no", "yes")),
    "multiclass": TargetSpec("multiclass", ("a", "b", "c", "d")),
    "multilabel": TargetSpec("multilabel", outputs=("x", "y", "z")),
    "multioutput": TargetSpec("multioutput", ("a", "b", "c", "d"), ("x", "y", "z")),
    "regression": TargetSpec("regression", outputs=("x", "y")),
}
OF_CLASSES: list[LossConfig] = [CrossEntropyConfig(), CrossEntropyConfig(label_smoothing=0.2), FocalConfig(gamma=1.5)]
OF_YES_OR_NO: list[LossConfig] = [BceConfig(), FocalConfig(gamma=2.5)]
FITTING = {
    **dict.fromkeys(("binary", "multiclass", "multioutput"), OF_CLASSES),
    "multilabel": OF_YES_OR_NO,
    "regression": [MseConfig(), L1Config(), HuberConfig(delta=0.4)],
}
CASES = [(kind, loss) for kind, losses in FITTING.items() for loss in losses]


def answers(kind: str, seed: int = 0, share_known: float = 0.8) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, truths of which some are unknown, and class weights."""
    generator, target = np.random.default_rng(seed), TARGETS[kind]
    logits = torch.from_numpy(2 * generator.standard_normal((B, *target.output_shape))).float()
    unknown = generator.random((B, *target.output_shape[: 0 if kind in ("binary", "multiclass") else 1])) > share_known
    if kind == "regression":
        numbers = generator.standard_normal(unknown.shape)
        return logits, torch.from_numpy(np.where(unknown, np.nan, numbers)).float(), torch.empty(0)
    n_classes = 2 if kind == "multilabel" else len(target.classes)
    classes = np.where(unknown, -1, generator.integers(0, n_classes, unknown.shape))
    weights = torch.from_numpy(0.2 + generator.random((*unknown.shape[1:], n_classes))).float()
    if kind == "multilabel":
        return logits, torch.from_numpy(np.where(unknown, np.nan, classes)).float(), weights
    return logits, torch.from_numpy(classes), weights


def by_hand(kind: str, loss: Any, logits: Tensor, truths: Tensor, weights: Tensor | None) -> float:
    """The mean over known answers, one at a time."""
    rows = logits.double().numpy().reshape(B, -1, logits.shape[-1] if kind not in ("multilabel", "regression") else 1)
    known = truths.double().numpy().reshape(B, -1)
    total, n = 0.0, 0
    for i, k in itertools.product(range(B), range(known.shape[1])):
        if math.isnan(known[i, k]) or (kind not in ("multilabel", "regression") and known[i, k] < 0):
            continue
        n += 1
        if kind == "regression":
            total += numbers_apart(loss, abs(rows[i, k, 0] - known[i, k]))
            continue
        answer = int(known[i, k])
        if kind == "multilabel":
            yes = 1 / (1 + math.exp(-rows[i, k, 0]))
            p = [1 - yes, yes]
        else:
            p = (np.exp(rows[i, k]) / np.exp(rows[i, k]).sum()).tolist()
        share = getattr(loss, "label_smoothing", 0.0)
        wanted = [share / len(p) + (1 - share) * (c == answer) for c in range(len(p))]
        one = -sum(w * math.log(q) for w, q in zip(wanted, p, strict=True))
        one *= (1 - p[answer]) ** getattr(loss, "gamma", 0.0)
        own = 1.0 if weights is None else float(weights.reshape(-1, weights.shape[-1])[k, answer])
        total += own * one
    return total / n


def numbers_apart(loss: Any, d: float) -> float:
    if loss.name == "huber":
        return 0.5 * d * d if d < loss.delta else loss.delta * (d - 0.5 * loss.delta)
    return d * d if loss.name == "mse" else d


@pytest.mark.parametrize(("kind", "loss"), CASES)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_equals_a_loop_over_known_answers(kind: str, loss: LossConfig, is_weighted: bool) -> None:
    for seed in range(5):
        logits, truths, weights = answers(kind, seed)
        given = weights if is_weighted and kind != "regression" else None
        found = supervised_loss(loss, TARGETS[kind], logits, truths, given)
        assert float(found.loss) == pytest.approx(by_hand(kind, loss, logits, truths, given), rel=1e-5)
        is_unknown = truths.isnan() if truths.is_floating_point() else truths < 0
        assert int(found.n_known) == int((~is_unknown).sum()) > 0


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_cross_entropy_equals_scikit_learn(kind: str) -> None:
    logits, truths, _ = answers(kind, share_known=1.0)
    found = supervised_loss(CrossEntropyConfig(), TARGETS[kind], logits, truths)
    probabilities = logits.double().softmax(dim=-1).numpy()
    labels = range(len(TARGETS[kind].classes))
    assert float(found.loss) == pytest.approx(log_loss(truths.numpy(), probabilities, labels=list(labels)), rel=1e-5)


def test_focal_without_gamma_is_cross_entropy_or_bce() -> None:
    for kind in ("multiclass", "multioutput", "multilabel"):
        logits, truths, weights = answers(kind)
        plain = supervised_loss(default_loss(TARGETS[kind]), TARGETS[kind], logits, truths, weights)
        focal = supervised_loss(FocalConfig(gamma=0), TARGETS[kind], logits, truths, weights)
        assert torch.allclose(focal.loss, plain.loss)


@pytest.mark.parametrize(("kind", "loss"), CASES)
def test_unknown_answers_have_no_gradient(kind: str, loss: LossConfig) -> None:
    logits, truths, _ = answers(kind)
    logits = (1e3 * logits).requires_grad_()  # answers that are as good as certain
    supervised_loss(loss, TARGETS[kind], logits, truths).loss.backward()
    is_unknown = truths.isnan() if truths.is_floating_point() else truths < 0
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert not logits.grad[is_unknown].any()
    assert logits.grad.any()


@pytest.mark.parametrize(("kind", "loss"), CASES)
def test_nothing_known_is_zero_with_a_gradient_of_zero(kind: str, loss: LossConfig) -> None:
    logits, truths, _ = answers(kind, share_known=-1.0)
    found = supervised_loss(loss, TARGETS[kind], logits.requires_grad_(), truths)
    found.loss.backward()
    assert float(found.loss.detach()) == int(found.n_known) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize(("kind", "loss"), [("multilabel", FocalConfig()), ("multioutput", CrossEntropyConfig())])
def test_computes_in_full_precision_under_autocast(kind: str, loss: LossConfig) -> None:
    logits, truths, weights = answers(kind)
    half = logits.bfloat16()
    expected = supervised_loss(loss, TARGETS[kind], half.float(), truths, weights).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = supervised_loss(loss, TARGETS[kind], half, truths, weights).loss
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_loss_of_another_kind_is_refused(kind: str) -> None:
    logits, truths, _ = answers(kind)
    fitting = {loss.name for loss in FITTING[kind]}
    for loss in (CrossEntropyConfig(), BceConfig(), FocalConfig(), MseConfig(), L1Config(), HuberConfig()):
        if loss.name not in fitting:
            with pytest.raises(
                ConfigError, match=rf"^loss '{loss.name}' does not fit a {kind} answer; losses that do: "
            ):
                supervised_loss(loss, TARGETS[kind], logits, truths)
    assert default_loss(TARGETS[kind]).name in fitting
    with pytest.raises(ConfigError, match=r"^windows that are unlabelled have no answer to learn"):
        default_loss(TargetSpec("unlabelled"))


def test_shapes_are_never_spread() -> None:
    logits, truths, _ = answers("multioutput")
    with pytest.raises(AssertionError, match="of outputs"):
        supervised_loss(CrossEntropyConfig(), TARGETS["multioutput"], logits[:, :2], truths)
    with pytest.raises(AssertionError, match="truths"):
        supervised_loss(CrossEntropyConfig(), TARGETS["multioutput"], logits, truths[:, :1])
    with pytest.raises(AssertionError, match="class weights of shape"):
        supervised_loss(CrossEntropyConfig(), TARGETS["multioutput"], logits, truths, torch.ones(4))
    numbers, known, _ = answers("regression")
    with pytest.raises(AssertionError, match="are no"):
        supervised_loss(MseConfig(), TARGETS["regression"], numbers, known.long())
