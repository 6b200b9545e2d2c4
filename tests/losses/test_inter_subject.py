"""The loss of inter-subject correlation: its loop, its bounds, and that collapse does not win."""

import math

import pytest
import torch
from torch import Tensor

from eegfm.losses.inter_subject import inter_subject_correlation


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def looped(first: Tensor, second: Tensor, decorrelation: float) -> float:
    columns = [[list(map(float, c)) for c in person.double().T] for person in (first, second)]

    def correlation(a: list[float], b: list[float]) -> float:
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        product = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / len(a)
        floored = [sum((x - m) ** 2 for x in v) / len(v) + 1e-6 for v, m in ((a, mean_a), (b, mean_b))]
        return product / math.sqrt(floored[0] * floored[1])

    loss, width = 0.0, first.shape[1]
    for d in range(width):
        for e in range(width):
            c = correlation(columns[0][d], columns[1][e])
            loss += (1 - c) ** 2 if d == e else decorrelation * c**2
    return loss / width


@pytest.mark.parametrize("decorrelation", [0.005, 1.0])
def test_it_equals_a_loop(decorrelation: float) -> None:
    first, shared = noise(20, 4), noise(20, 4, seed=1)
    second = 0.7 * first + 0.3 * shared + 100
    found = inter_subject_correlation(first, second, decorrelation=decorrelation)
    assert float(found) == pytest.approx(looped(first, second, decorrelation), rel=1e-4)


def test_persons_can_be_exchanged() -> None:
    first, second = noise(20, 4), noise(20, 4, seed=1)
    torch.testing.assert_close(inter_subject_correlation(first, second), inter_subject_correlation(second, first))


def test_collapse_does_not_win() -> None:
    """Constant, person-bound, repeated and tiny embeddings are all worse than good ones; none is below zero."""
    moments = torch.linalg.qr(noise(64, 8) - noise(64, 8).mean(dim=0)).Q
    moments = 8 * (moments - moments.mean(dim=0))
    good = float(inter_subject_correlation(moments + 0.2 * noise(64, 8, seed=2), moments + 0.2 * noise(64, 8, seed=3)))
    constant = torch.ones(64, 8)
    worse = {
        "constant": (constant, constant),
        "persons": (constant * torch.arange(8), -constant),
        "one moment": (moments[:1], moments[:1]),
        "shuffled": (moments, moments.roll(7, 0)),
        "tiny": (1e-6 * moments, 1e-6 * moments),
    }
    assert 0 <= good < 0.05
    for name, (first, second) in worse.items():
        assert float(inter_subject_correlation(first, second)) > 0.9, name
    assert float(inter_subject_correlation(constant, constant)) == pytest.approx(1.0)
    repeated = moments[:, :1].expand(-1, 8)
    assert float(inter_subject_correlation(repeated, repeated)) == pytest.approx(7 * 0.005, rel=1e-3)
    assert float(inter_subject_correlation(moments, moments)) < 1e-3


def test_gradients_are_finite_and_lead_to_correlation() -> None:
    for first, second in ((torch.ones(9, 4), torch.ones(9, 4)), (noise(1, 4), noise(1, 4)), (noise(9, 4),) * 2):
        leaf = first.clone().requires_grad_()
        inter_subject_correlation(leaf, second).backward()
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    free = torch.stack([noise(16, 4), noise(16, 4, seed=1)]).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.05)
    for _ in range(150):
        loss = inter_subject_correlation(free[0], free[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    assert float(free.detach().var(dim=1).min()) > 0.01, "correlated, not constant"


def test_shapes_must_be_equal() -> None:
    with pytest.raises(AssertionError, match="against"):
        inter_subject_correlation(noise(4, 1), noise(4, 3))
