"""The share of variance between groups against scipy and loops in float64."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import f_oneway
from torch import Tensor

from eegfm.metrics.groups import between_share


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


GROUP = torch.tensor([7, 7, 7, 7, 0, 0, 0, 3, 3, 3, 3, 3, 900, 900])


def looped(features: Tensor, group: Tensor, *, corrected: bool) -> float:
    x, g = features.double().numpy(), group.numpy()
    x, g = x[g >= 0], g[g >= 0]
    between = sum(sum((x[g == k].mean(axis=0) - x.mean(axis=0)) ** 2) for k in g)
    within = sum(sum((x[i] - x[g == g[i]].mean(axis=0)) ** 2) for i in range(len(x)))
    if corrected:
        sizes = [sum(g == k) for k in set(g.tolist())]
        n, k = len(x), len(sizes)
        mean_size = (n - sum(s * s for s in sizes) / n) / (k - 1)
        within /= n - k
        between = (between / (k - 1) - within) / mean_size
    return float(between / (between + within))


@pytest.mark.parametrize("corrected", [False, True])
def test_it_equals_a_loop(corrected: bool) -> None:
    features = noise(14, 5) + 2 * noise(1000, 5, seed=1)[GROUP] + 50
    assert float(between_share(features, GROUP, corrected=corrected)) == pytest.approx(
        looped(features, GROUP, corrected=corrected), rel=1e-4
    )
    group = GROUP.clone()
    group[[2, 9]] = -1
    wild = features.clone()
    wild[[2, 9]] = 1e3
    assert float(between_share(wild, group, corrected=corrected)) == pytest.approx(
        looped(features, group, corrected=corrected), rel=1e-3
    )


def test_it_says_what_the_f_statistic_says() -> None:
    features = noise(14, 1) + noise(1000, 1, seed=1)[GROUP]
    share = float(between_share(features, GROUP))
    columns = [features[group == GROUP, 0].double().numpy() for group in GROUP.unique()]
    assert share / (1 - share) * (14 - 4) / (4 - 1) == pytest.approx(f_oneway(*columns).statistic, rel=1e-4)


def test_the_correction_finds_the_planted_share() -> None:
    """Groups of 2 to 6 windows, a third of the variance planted; without correction, chance adds to it."""
    sizes = torch.arange(400) % 5 + 2
    group = torch.repeat_interleave(torch.arange(400), sizes)
    features = noise(len(group), 8) + math.sqrt(0.5) * noise(400, 8, seed=1)[group]
    assert float(between_share(features, group, corrected=True)) == pytest.approx(1 / 3, abs=0.03)
    assert float(between_share(features, group)) > 0.45
    assert abs(float(between_share(noise(len(group), 8), group, corrected=True))) < 0.03


@pytest.mark.parametrize("corrected", [False, True])
def test_extremes_are_finite(corrected: bool) -> None:
    centres = noise(4, 3)[torch.arange(12) % 4]
    group = torch.arange(12) % 4
    assert float(between_share(centres, group, corrected=corrected)) == pytest.approx(1.0)
    rounded = 1e4 * noise(1, 3) * (1 + 1e-7 * noise(12, 3, seed=2))
    for features in (torch.zeros(12, 3), torch.full((12, 3), 0.1), rounded):
        assert float(between_share(features, group, corrected=corrected)) == 0.0, "rounding is no variance"
    for odd in (torch.zeros(12, dtype=torch.int64), torch.arange(12), torch.full((12,), -1)):
        assert np.isfinite(float(between_share(noise(12, 3), odd, corrected=corrected)))
    assert float(between_share(noise(12, 3), torch.zeros(12, dtype=torch.int64))) == pytest.approx(0.0, abs=1e-6)
    assert not between_share(noise(12, 3).requires_grad_(), group).requires_grad


def test_shapes_must_fit() -> None:
    with pytest.raises(AssertionError, match="groups"):
        between_share(noise(4, 3), torch.zeros(4, 1, dtype=torch.int64))
