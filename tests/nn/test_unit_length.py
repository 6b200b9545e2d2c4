"""Vectors of length 1."""

import pytest
import torch

from eegfm.nn.unit_length import unit_length


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e12])
def test_lengths_are_one_and_directions_stay(scale: float) -> None:
    vectors = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    found = unit_length(scale * vectors)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(5, 3))
    torch.testing.assert_close(found, vectors / vectors.norm(dim=-1, keepdim=True))


def test_zero_stays_zero_with_a_finite_gradient() -> None:
    leaf = torch.zeros(2, 3).requires_grad_()
    unit_length(leaf).sum().backward()
    assert not unit_length(leaf).any()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
