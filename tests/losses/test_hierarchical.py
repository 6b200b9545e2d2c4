"""The hierarchical contrast of TS2Vec against a loop in float64 over its formulas."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.losses.hierarchical import hierarchical_contrast


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def dual(r: np.ndarray, q: np.ndarray, temperature: float, shared: Tensor | None) -> float:
    """Mean over windows and steps of eqs. 1 and 2, anchors in the first view."""
    n, t, _ = r.shape
    total = 0.0
    for i in range(n):
        for s in range(t):
            positive = math.exp(r[i, s] @ q[i, s] / temperature)
            temporal = sum(
                math.exp(r[i, s] @ q[i, o] / temperature) + (o != s) * math.exp(r[i, s] @ r[i, o] / temperature)
                for o in range(t)
            )
            instance = sum(
                math.exp(r[i, s] @ q[j, s] / temperature) + (j != i) * math.exp(r[i, s] @ r[j, s] / temperature)
                for j in range(n)
                if shared is None or j == i or not shared[i, j]
            )
            total -= math.log(positive / temporal) + math.log(positive / instance)
    return total / (n * t)


def looped(first: Tensor, second: Tensor, temperature: float, shared: Tensor | None = None) -> float:
    r, q, levels = first.double().numpy(), second.double().numpy(), []
    while True:
        levels.append((dual(r, q, temperature, shared) + dual(q, r, temperature, shared)) / 2)
        if r.shape[1] == 1:
            return sum(levels) / len(levels)
        half = r.shape[1] // 2
        r, q = (v[:, : 2 * half].reshape(len(v), half, 2, -1).max(axis=2) for v in (r, q))


@pytest.mark.parametrize(("n_windows", "n_steps"), [(3, 8), (2, 7), (4, 1), (1, 6), (1, 1)])
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_it_equals_a_loop(n_windows: int, n_steps: int, temperature: float) -> None:
    first, second = noise(n_windows, n_steps, 5), noise(n_windows, n_steps, 5, seed=1)
    expected = looped(first, second, temperature)
    assert float(hierarchical_contrast(first, second, temperature)) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert float(hierarchical_contrast(second, first, torch.tensor(temperature))) == pytest.approx(
        expected, rel=1e-5, abs=1e-6
    )


def test_windows_that_share_samples_are_no_negatives() -> None:
    first, second = noise(4, 5, 3), noise(4, 5, 3, seed=1)
    shared = torch.eye(4, dtype=torch.bool)
    shared[0, 2] = shared[2, 0] = True
    found = float(hierarchical_contrast(first, second, 0.7, shared=shared))
    assert found == pytest.approx(looped(first, second, 0.7, shared), rel=1e-5)
    assert found < float(hierarchical_contrast(first, second, 0.7)) - 0.01
    own = hierarchical_contrast(first, second, 0.7, shared=torch.eye(4, dtype=torch.bool))
    torch.testing.assert_close(own, hierarchical_contrast(first, second, 0.7))


def test_its_analytic_value() -> None:
    """All vectors alike: a guess among 2T - 1 steps and among 2B - 1 windows at each level."""
    same = torch.ones(3, 4, 2)
    expected = math.log(5) + (math.log(7) + math.log(3) + math.log(1)) / 3
    assert float(hierarchical_contrast(same, same)) == pytest.approx(expected, rel=1e-5)


def test_gradients_reach_both_views() -> None:
    views = noise(2, 3, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: hierarchical_contrast(v[0], v[1], 0.7), (views,))
    hierarchical_contrast(views[0], views[1]).backward()
    assert views.grad is not None
    assert views.grad.abs().sum(dim=(1, 2, 3)).min() > 0


def test_constant_vectors_are_no_solution() -> None:
    views = torch.stack([torch.ones(3, 2, 8), torch.ones(3, 2, 8)]) + 0.01 * noise(2, 3, 2, 8)
    views.requires_grad_()
    optimizer, first = torch.optim.Adam([views], lr=0.1), None
    for _ in range(30):
        loss = hierarchical_contrast(views[0], views[1])
        first = float(loss.detach()) if first is None else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.2 * first
