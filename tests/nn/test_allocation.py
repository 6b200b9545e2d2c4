"""Memory that a module may take while it is built."""

import pytest
import torch
from torch import nn

from eegfm.nn.allocation import AllocationLimit


def refuse(n_bytes: int) -> Exception:
    return ValueError(f"{n_bytes} bytes")


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(10**6, 10**6),
        lambda: nn.Embedding(10**9, 10**3),
        lambda: nn.Conv1d(10**5, 10**5, 10**3),
        lambda: nn.MultiheadAttention(10**6, 1),
        lambda: [nn.Linear(10, 10) for _ in range(100_000)],
        lambda: torch.arange(10**12),
        lambda: torch.eye(10**6),
        lambda: torch.linspace(0, 1, 10**12),
        lambda: torch.zeros(10**6, 10**6, dtype=torch.bool),
        lambda: torch.randn(10**6, 10**6),
        lambda: torch.full((10**6, 10**6), 1.0),
        lambda: torch.randperm(10**12),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_made(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"\d+ bytes"), AllocationLimit(1 << 20, refuse):
        make()


def test_operations_on_what_there_is_count_nothing() -> None:
    with AllocationLimit(1 << 20, refuse):
        x = torch.ones(64, 64, requires_grad=True)
        (x[1:, ::2].expand(3, -1, -1).reshape(-1).cumsum(0) ** 2).sum().backward()
        torch.fft.rfft(x.detach()).abs().repeat(2, 2).new_empty(4)
        x.detach().as_strided((4, 4), (1, 1))
    assert x.grad is not None


def test_what_fits_is_the_same() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(100, 100).weight
    torch.manual_seed(0)
    with AllocationLimit(1 << 20, refuse):
        limited = nn.Linear(100, 100).weight
    assert torch.equal(plain, limited)
