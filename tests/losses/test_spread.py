"""Terms against collapse, against loops in float64 and scipy's integral."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from eegfm.losses.spread import covariance_loss, sketched_gaussian_loss, variance_loss


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def centred(values: Tensor) -> list[list[float]]:
    """Columns minus their means."""
    columns = [list(map(float, column)) for column in values.double().T]
    return [[x - sum(column) / len(column) for x in column] for column in columns]


@pytest.mark.parametrize("target_sd", [1.0, 0.2])
def test_the_variance_term_equals_a_loop(target_sd: float) -> None:
    values = noise(9, 4) * torch.tensor([0.1, 0.5, 1.0, 3.0]) + 5
    sds = [math.sqrt(sum(x * x for x in column) / 8 + 1e-4) for column in centred(values)]
    expected = sum(max(0.0, target_sd - sd) for sd in sds) / 4
    assert float(variance_loss(values, target_sd)) == pytest.approx(expected, rel=1e-5)
    assert float(variance_loss(values.view(3, 3, 4), target_sd)) == pytest.approx(expected, rel=1e-5)


def test_the_covariance_term_equals_a_loop() -> None:
    values = noise(9, 4) @ noise(4, 4, seed=1) + 5
    columns = centred(values)
    expected = sum(
        (sum(x * y for x, y in zip(columns[d], columns[e], strict=True)) / 8) ** 2
        for d in range(4)
        for e in range(4)
        if d != e
    )
    assert float(covariance_loss(values)) == pytest.approx(expected / 4, rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_the_sketched_test_equals_an_integral(offset: float) -> None:
    rows, directions = 0.6 * noise(40, 3) + offset, 5 * noise(3, 6, seed=1)
    statistics = []
    for direction in directions.double().T.numpy():
        x = rows.double().numpy() @ (direction / np.linalg.norm(direction))

        def integrand(t: float, x: np.ndarray = x) -> float:
            return float(abs(np.exp(1j * t * x).mean() - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2))

        points = np.linspace(-5, 5, 17)
        found = np.trapezoid([integrand(t) for t in points], points)
        assert found == pytest.approx(quad(integrand, -5, 5)[0], rel=0.02), "17 points are enough"
        statistics.append(found)
    assert float(sketched_gaussian_loss(rows, directions)) == pytest.approx(sum(statistics) / 6, rel=1e-5)
    twice = sketched_gaussian_loss(torch.cat([rows, rows]), directions)
    assert float(twice) == pytest.approx(sum(statistics) / 6, rel=1e-5), "no larger in a larger batch"


def test_the_standard_normal_is_best() -> None:
    normal, directions = noise(512, 8), noise(8, 32, seed=1)
    best = float(sketched_gaussian_loss(normal, directions))
    correlated = normal.clone()
    correlated[:, 1] = normal[:, 0]
    for other in (torch.zeros(512, 8), torch.ones(512, 8), 3 * normal, 0.3 * normal, normal + 1, correlated):
        assert float(sketched_gaussian_loss(other, directions)) > 3 * best
    expected = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))  # the mean of the statistic for normal rows
    assert abs(512 * best - expected) < 0.4


@pytest.mark.parametrize("values", [torch.ones(6, 4), noise(1, 4), torch.zeros(6, 4)])
def test_collapsed_embeddings_cost_and_are_finite(values: Tensor) -> None:
    for loss in (variance_loss, covariance_loss, lambda z: sketched_gaussian_loss(z, noise(4, 5))):
        leaf = values.clone().requires_grad_()
        found = loss(leaf)
        found.backward()
        assert torch.isfinite(found)
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
    assert float(variance_loss(values)) == pytest.approx(0.99, rel=1e-5)
    assert float(covariance_loss(values)) == 0.0


def test_gradients_are_right() -> None:
    rows = (0.3 * noise(7, 3)).double().requires_grad_()
    directions = noise(3, 4, seed=1).double()
    for loss in (variance_loss, covariance_loss, lambda z: sketched_gaussian_loss(z, directions)):
        assert torch.autograd.gradcheck(loss, (rows,))


def test_their_sum_spreads_what_was_collapsed() -> None:
    leaf = (1 + 0.01 * noise(32, 4)).requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=0.05)
    for _ in range(100):
        loss = variance_loss(leaf) + covariance_loss(leaf)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(leaf.detach().std(dim=0).min()) > 0.9
    assert float(covariance_loss(leaf.detach())) < 0.05
