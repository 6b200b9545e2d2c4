from pathlib import Path

import torch

from eegfm.nn.context import Context
from eegfm.nn.gather import of_all_ranks
from kedro_project import run_python
from process_groups import FORK_TWO_RANKS

# Both processes are forked from one that has imported torch.
TWO_RANKS = """
import os, sys
import torch
import torch.distributed as dist
from eegfm.batch import rank_slice
from eegfm.nn.context import Context
from eegfm.nn.gather import of_all_ranks

def loss_of(rows):
    return torch.logsumexp(rows @ rows.T, dim=1).sum() + (torch.arange(len(rows)) * rows.sum(dim=1)).sum()

def meet(rank):
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=2)
    draw = torch.Generator().manual_seed(0)
    weights, rows = torch.randn(3, 4, generator=draw, requires_grad=True), torch.randn(8, 3, generator=draw)
    everything = of_all_ranks(rows[rank_slice(rank, 2)] @ weights, Context(rank=rank, world_size=2))
    assert torch.equal(everything, rows @ weights)
    (gradient,) = torch.autograd.grad(loss_of(everything), weights)
    dist.all_reduce(gradient)
    (expected,) = torch.autograd.grad(loss_of(rows @ weights), weights)
    torch.testing.assert_close(gradient / 2, expected)
"""


def test_all_ranks_together_have_the_loss_and_the_gradient_of_one_process(tmp_path: Path) -> None:
    done = run_python(TWO_RANKS + FORK_TWO_RANKS, str(tmp_path / "meeting"))
    assert done.returncode == 0, done.stderr


def test_one_process_has_all_rows_already() -> None:
    rows = torch.randn(3, 2)
    assert of_all_ranks(rows, Context()) is rows
