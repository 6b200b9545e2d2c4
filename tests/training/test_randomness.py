"""Random numbers follow from their purpose."""

import pytest
import torch
from eegfm.training.randomness import generator_for, global_draws_for
from torch.nn.functional import dropout
from torch.utils.checkpoint import checkpoint

CPU = torch.device("cpu")
PURPOSES = [(0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (0, 2, 0, 0), (1, 1, 0, 0)]


def test_equal_purposes_draw_equal_numbers() -> None:
    draws = {p: tuple(torch.rand(4, generator=generator_for(*p)).tolist()) for p in PURPOSES}
    assert len(set(draws.values())) == len(PURPOSES)
    torch.manual_seed(99)
    assert all(tuple(torch.rand(4, generator=generator_for(*p)).tolist()) == d for p, d in draws.items())


def dropped(*purpose: int) -> tuple[float, ...]:
    with global_draws_for(CPU, *purpose):
        return tuple(dropout(torch.ones(64), 0.5).tolist())


def test_global_draws_follow_from_their_purpose_and_leave_no_trace() -> None:
    draws = {p: dropped(*p) for p in PURPOSES}
    assert len(set(draws.values())) == len(PURPOSES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        expected = torch.rand(3)
        torch.manual_seed(99)
        assert all(dropped(*p) == d for p, d in draws.items())
        assert torch.equal(torch.rand(3), expected)


def test_global_state_comes_back_after_an_error() -> None:
    def fails() -> None:
        torch.rand(3)
        raise ValueError("on purpose")

    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match="on purpose"), global_draws_for(CPU, 0, 1):
        fails()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_forward_that_is_computed_again_drops_the_same() -> None:
    x = torch.ones(64, requires_grad=True)
    with global_draws_for(CPU, 0, 1):
        y = checkpoint(lambda v: dropout(v, 0.5), x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_those_of_a_cuda_device_too() -> None:
    device = torch.device("cuda", 0)
    before = torch.cuda.get_rng_state(device)
    draws = []
    for state in (1, 2):
        torch.cuda.manual_seed_all(state)
        with global_draws_for(device, 5, 1):
            draws.append(dropout(torch.ones(64, device=device), 0.5))
    assert torch.equal(*draws)
    torch.cuda.set_rng_state(before, device)
