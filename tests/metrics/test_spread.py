"""Measures of spread against loops in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.metrics.spread import alignment, effective_rank, mean_sd, uniformity


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(30, 6), (4, 9), (5, 6, 3)])
def test_effective_rank_equals_a_loop(shape: tuple[int, ...]) -> None:
    features = noise(*shape) @ noise(shape[-1], shape[-1], seed=1) + 3
    rows = features.double().numpy().reshape(-1, shape[-1])
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    shares = [value / values.sum() for value in values if value > 1e-9]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert float(effective_rank(features)) == pytest.approx(expected, rel=1e-4)


def test_effective_rank_of_known_spreads() -> None:
    orthogonal = torch.linalg.qr(noise(64, 8) - noise(64, 8).mean(dim=0)).Q
    orthogonal = torch.linalg.qr(orthogonal - orthogonal.mean(dim=0)).Q
    assert float(effective_rank(100 + orthogonal)) == pytest.approx(8, rel=1e-3)
    assert float(effective_rank(orthogonal[:, :1] @ noise(1, 8))) == pytest.approx(1, rel=1e-3)
    rounded = noise(1, 8) * (1 + 1e-7 * noise(20, 8, seed=2))
    for constant in (torch.zeros(20, 8), torch.full((20, 8), 0.1), rounded, 1e4 * rounded, noise(1, 8)):
        assert float(effective_rank(constant)) == 1.0, "rounding is no rank"


def test_mean_sd_equals_a_loop() -> None:
    features = noise(5, 6, 3) * torch.tensor([0.1, 1.0, 10.0]) + 7
    rows = features.double().numpy().reshape(-1, 3).T.tolist()
    sds = [math.sqrt(sum((x - sum(row) / 30) ** 2 for x in row) / 30) for row in rows]
    assert float(mean_sd(features)) == pytest.approx(sum(sds) / 3, rel=1e-5)
    assert float(mean_sd(torch.ones(4, 3))) == float(mean_sd(noise(1, 3))) == 0.0


def test_alignment_and_uniformity_equal_a_loop() -> None:
    first, second = 3 * noise(9, 4), noise(9, 4, seed=1)
    z, q = ((v.double() / v.double().norm(dim=1, keepdim=True)).numpy() for v in (first, second))
    assert float(alignment(first, second)) == pytest.approx(
        sum(sum((z[i] - q[i]) ** 2) for i in range(9)) / 9, rel=1e-5
    )
    potentials = [math.exp(-2 * sum((z[i] - z[j]) ** 2)) for i in range(9) for j in range(9) if i != j]
    assert float(uniformity(first)) == pytest.approx(math.log(sum(potentials) / 72), rel=1e-5)


def test_collapse_aligns_and_is_not_uniform() -> None:
    same, spread = torch.ones(20, 4), noise(20, 4)
    assert float(alignment(same, same)) == 0.0
    assert float(alignment(spread, -spread)) == pytest.approx(4.0)
    assert float(uniformity(same)) == pytest.approx(0.0, abs=1e-5)
    assert float(uniformity(spread)) < -1
    assert float(uniformity(spread[:1])) == 0.0


def test_no_gradient_is_followed() -> None:
    leaf = noise(8, 4).requires_grad_()
    for measure in (effective_rank, mean_sd, uniformity, lambda z: alignment(z, -z)):
        found = measure(leaf)
        assert found.shape == ()
        assert not found.requires_grad


def test_half_precision_is_measured_in_float32() -> None:
    values = noise(30, 6)
    with torch.autocast("cpu", torch.bfloat16):
        inside = [measure(values) for measure in (effective_rank, mean_sd, uniformity)]
    assert inside == [measure(values) for measure in (effective_rank, mean_sd, uniformity)]
    assert float(effective_rank(values.bfloat16())) == pytest.approx(float(effective_rank(values)), rel=0.01)
