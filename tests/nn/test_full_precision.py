"""Functions that compute in at least float32."""

import pytest
import torch
from torch import Tensor

from eegfm.nn.full_precision import full, full_precision


@full_precision
def product(first: Tensor, second: Tensor, scale: float = 1.0, *, third: Tensor | None = None) -> Tensor:
    """Doc."""
    out = scale * (first @ second)
    return out if third is None else out @ third


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        (torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float32, torch.float32),
        (torch.float64, torch.float64), (torch.int64, torch.int64), (torch.bool, torch.bool),
    ],
)  # fmt: skip
def test_half_precision_alone_is_cast(given: torch.dtype, computed: torch.dtype) -> None:
    values = torch.ones(2, 2).to(given)
    assert full(values).dtype == computed
    if computed.is_floating_point:
        assert product(values, values, third=values).dtype == computed


def test_autocast_is_off_inside_and_on_again_outside() -> None:
    values = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        inside, outside = product(values, values, 2.0), values @ values
    assert torch.equal(inside, product(values, values, 2.0))
    assert outside.dtype == torch.bfloat16


def test_names_and_gradients_stay() -> None:
    leaf = torch.eye(3, dtype=torch.bfloat16).requires_grad_()
    product(leaf, second=leaf, third=torch.eye(3)).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == torch.bfloat16
    assert product.__name__ == "product"
    assert product.__doc__ == "Doc."
