"""Batch norms of two ranks: torch's own on all windows say what they give, forwards, backwards and in evaluation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from eegfm.errors import TrainingError
from eegfm.training.batch_norms import over_all_ranks
from process_groups import FORK_TWO_RANKS
from warm_process import WarmProcess

# Both processes are forked from one that has imported torch. The first one has 5 windows, the second one 3.
TWO_RANKS = """
import copy, os, sys
import torch
import torch.distributed as dist
from torch import nn
from eegfm.training.batch_norms import over_all_ranks

SHAPES = {
    "vectors": (nn.BatchNorm1d(3), (8, 3)),
    "maps": (nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), (8, 3, 2, 5)),
    "mean over batches": (nn.BatchNorm1d(3, momentum=None), (8, 3, 4)),
    "nothing remembered": (nn.BatchNorm1d(3, affine=False, track_running_stats=False), (8, 3)),
}
PARTS = (slice(0, 5), slice(5, 8))

def check(norm, shape, own, draw):
    norm.double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter, generator=draw)
    ranked = copy.deepcopy(norm)
    model = nn.Sequential(ranked)
    with over_all_ranks(model):
        for _ in range(2):
            values = 2 + 3 * torch.randn(shape, generator=draw, dtype=torch.float64)
            weights = torch.randn(shape, generator=draw, dtype=torch.float64)
            all_of_it, mine = values.clone().requires_grad_(), values[own].clone().requires_grad_()
            expected, found = norm(all_of_it), model(mine)
            torch.testing.assert_close(found, expected[own])
            (weights * expected**3).sum().backward()
            (weights[own] * found**3).sum().backward()
            torch.testing.assert_close(mine.grad, all_of_it.grad[own])
        for whole, part in zip(norm.parameters(), ranked.parameters(), strict=True):
            dist.all_reduce(part.grad)
            torch.testing.assert_close(part.grad, whole.grad)
        for name, value in norm.state_dict().items():
            torch.testing.assert_close(ranked.state_dict()[name], value)
        # One rank alone validates its own windows: it waits for no other.
        if own is PARTS[0]:
            torch.testing.assert_close(model.eval()(values), norm.eval()(values))

def check_small_spread(own):
    values = 4096 + torch.randn(8, 3, 50, generator=torch.Generator().manual_seed(1))
    norm = nn.BatchNorm1d(3)
    expected = torch.nn.functional.batch_norm(values.double(), None, None, training=True)
    with over_all_ranks(norm):
        torch.testing.assert_close(norm(values[own]), expected[own].float(), atol=2e-3, rtol=0)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = norm((values - 4096).bfloat16()[own])
    assert rounded.dtype is torch.bfloat16
    torch.testing.assert_close(rounded.float(), expected[own].float(), atol=0.03, rtol=0)

def check_whole_part(own):
    whole = nn.BatchNorm1d(3)
    with over_all_ranks(nn.Sequential(whole), [nn.Sequential(whole)]):
        alone = whole(torch.arange(15.0).view(5, 3) if own is PARTS[0] else torch.randn(3, 3))
    torch.testing.assert_close(alone.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)

def meet(rank):
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
    for name, (norm, shape) in SHAPES.items():
        check(norm, shape, PARTS[rank], torch.Generator().manual_seed(0))
    check_small_spread(PARTS[rank])
    check_whole_part(PARTS[rank])
"""


def test_norms_of_two_ranks_are_those_of_all_windows(warm: WarmProcess, tmp_path: Path) -> None:
    done = warm.run(TWO_RANKS + FORK_TWO_RANKS, str(tmp_path / "meeting"), folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_after_the_block_norms_are_what_they_were() -> None:
    norm = nn.BatchNorm1d(3)
    names, values = list(norm.state_dict()), torch.randn(4, 3)
    expected = nn.functional.batch_norm(values, None, None, training=True)
    with over_all_ranks(norm):
        assert list(norm.state_dict()) == names
        with pytest.raises(ValueError, match="process group"):
            norm(values)
    assert "forward" not in vars(norm)
    assert torch.equal(norm(values), expected)


def test_a_norm_that_computes_in_its_own_way_is_refused() -> None:
    class Halved(nn.BatchNorm1d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) / 2

    with (
        pytest.raises(TrainingError, match=r"Halved is a batch norm .* train on one \(devices=1\)"),
        over_all_ranks(Halved(3)),
    ):
        pass
