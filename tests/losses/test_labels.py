"""Losses over labels of which some are unknown."""

import math

import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from eegfm.losses.labels import classification_loss, regression_loss
from eegfm.losses.pointwise import PointwiseKind


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["l1", "l2", "smooth_l1"])
@pytest.mark.parametrize("shape", [(8,), (8, 1), (8, 3)])
def test_regression_is_over_known_values(shape: tuple[int, ...], kind: PointwiseKind) -> None:
    prediction, target = noise(*shape).requires_grad_(), noise(*shape, seed=1)
    target.view(-1)[[1, 4]] = math.nan
    found = regression_loss(prediction, target, kind, beta=0.5)
    pairs = zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True)
    known = [abs(p - t) for p, t in pairs if not math.isnan(t)]
    one = {"l1": lambda d: d, "l2": lambda d: d * d, "smooth_l1": lambda d: d * d if d < 0.5 else d - 0.25}[kind]
    assert int(found.n_known) == len(known) == prediction.numel() - 2
    assert float(found.loss.detach()) == pytest.approx(sum(map(one, known)) / len(known), rel=1e-5)
    found.loss.backward()
    assert prediction.grad is not None
    assert torch.equal(prediction.grad != 0, ~target.isnan())


def test_classification_is_over_known_classes() -> None:
    logits, target = noise(8, 3).requires_grad_(), torch.tensor([0, 2, -1, 1, 1, -1, 0, 2])
    found = classification_loss(logits, target)
    known = target >= 0
    expected = log_loss(target[known].numpy(), logits.detach().double().softmax(dim=1)[known].numpy(), labels=[0, 1, 2])
    assert float(found.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert int(found.n_known) == 6
    found.loss.backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad.any(dim=1), known)


def test_nothing_known_is_zero_with_a_gradient_of_zero() -> None:
    prediction, logits = noise(5).requires_grad_(), noise(5, 2).requires_grad_()
    regression = regression_loss(prediction, torch.full((5,), math.nan))
    classes = classification_loss(logits, torch.full((5,), -1))
    (regression.loss + classes.loss).backward()
    for found in (regression, classes):
        assert float(found.loss.detach()) == int(found.n_known) == 0
    assert prediction.grad is not None
    assert logits.grad is not None
    assert not prediction.grad.any()
    assert not logits.grad.any()


def test_shapes_are_never_spread() -> None:
    with pytest.raises(AssertionError, match="against"):
        regression_loss(noise(5, 1), noise(5))
    with pytest.raises(AssertionError, match="of logits"):
        classification_loss(noise(5, 2), torch.zeros(5, 1, dtype=torch.int64))
    with pytest.raises(AssertionError, match="whole numbers"):
        classification_loss(noise(5, 2), torch.zeros(5))
