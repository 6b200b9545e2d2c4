"""Distances and their masks against loops in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eegfm.losses.pointwise import PointwiseKind, distances, masked_mean, negative_cosine, pointwise_loss


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def distance(kind: PointwiseKind, x: float, y: float, beta: float) -> float:
    d = abs(x - y)
    return {"l1": d, "l2": d * d, "smooth_l1": d * d / (2 * beta) if d < beta else d - beta / 2}[kind]


def mean_cosine(x: Tensor, y: Tensor) -> float:
    a, b = x.double().tolist(), y.double().tolist()
    product = sum(p * q for p, q in zip(a, b, strict=True))
    return product / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))


def looped(one: Callable[[Tensor, Tensor], float], prediction: Tensor, target: Tensor, mask: Tensor | None) -> float:
    windows = []
    for b in range(len(prediction)):
        places = [tuple(p) for p in torch.ones(prediction.shape[1:-1]).nonzero().tolist()]
        asked = [p for p in places if mask is None or bool(mask[(b, *p)])]
        if asked:
            windows.append(sum(one(prediction[(b, *p)], target[(b, *p)]) for p in asked) / len(asked))
    return sum(windows) / len(windows) if windows else 0.0


MASK = noise(3, 2, 4, seed=5) > 0
MASK[1] = False
MASKS = {"all": None, "some": MASK, "none": torch.zeros_like(MASK)}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("kind", "beta"), [("l1", 1.0), ("l2", 1.0), ("smooth_l1", 1.0), ("smooth_l1", 0.2)])
def test_pointwise_losses_equal_a_loop(kind: PointwiseKind, beta: float, mask: str) -> None:
    prediction, target = noise(3, 2, 4, 5).requires_grad_(), noise(3, 2, 4, 5, seed=1)

    def one(x: Tensor, y: Tensor) -> float:
        return sum(distance(kind, float(p), float(q), beta) for p, q in zip(x, y, strict=True)) / len(x)

    expected = looped(one, prediction.detach(), target, MASKS[mask])
    asked = target if mask == "all" else target.masked_fill(~MASKS[mask].unsqueeze(-1), math.nan)
    found = pointwise_loss(kind, prediction, asked, MASKS[mask], beta=beta)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    found.backward()
    assert prediction.grad is not None
    reached = torch.ones(3, 2, 4, dtype=torch.bool) if MASKS[mask] is None else MASKS[mask]
    assert torch.equal(prediction.grad.any(dim=-1), reached), "finite, and only where asked"


@pytest.mark.parametrize("mask", MASKS)
def test_negative_cosine_equals_a_loop(mask: str) -> None:
    prediction, target = noise(3, 2, 4, 5).requires_grad_(), 9 * noise(3, 2, 4, 5, seed=1)
    expected = looped(lambda x, y: -mean_cosine(x, y), prediction.detach(), target, MASKS[mask])
    asked = target if mask == "all" else target.masked_fill(~MASKS[mask].unsqueeze(-1), math.nan)
    found = negative_cosine(prediction, asked, MASKS[mask])
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    found.backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    assert float(negative_cosine(target, target)) == pytest.approx(-1.0, rel=1e-5)
    assert float(negative_cosine(torch.zeros(3, 5), target[:, 0, 0])) == 0.0


def test_windows_count_alike_however_much_is_masked() -> None:
    values, mask = torch.ones(2, 10), torch.zeros(2, 10, dtype=torch.bool)
    values[1] = 5.0
    mask[0], mask[1, 3] = True, True
    assert float(masked_mean(values, mask)) == 3.0


def test_shapes_are_never_spread() -> None:
    with pytest.raises(AssertionError, match="against"):
        distances("l2", noise(4, 1), noise(4))
    with pytest.raises(AssertionError, match="against"):
        negative_cosine(noise(4, 1), noise(4, 3))
    with pytest.raises(AssertionError, match="mask"):
        masked_mean(noise(4, 3), torch.ones(4, 1, dtype=torch.bool))
