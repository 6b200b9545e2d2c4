"""FEMBA's head; ``tests/encoders/femba`` has the published sizes."""

import torch

from eegfm.heads.base import HeadSpec, TokenGrid, build_head
from eegfm.heads.config import FembaHeadConfig
from eegfm.heads.femba import FembaHead
from eegfm.targets import TargetSpec

SPEC = HeadSpec(18, 1, 9, TargetSpec.of_classes("abc"))


def test_it_is_the_mean_over_time_behind_a_block() -> None:
    head = build_head(FembaHeadConfig(), SPEC, seed=0)
    assert isinstance(head, FembaHead)
    x = torch.randn(2, 1, 9, 18, generator=torch.Generator().manual_seed(0))
    hidden = head.block(torch.nn.functional.gelu(head.projection(x[:, 0])))
    torch.testing.assert_close(head(TokenGrid(x, torch.ones(2, 1, dtype=torch.bool))), head.output(hidden.sum(1) / 9))


def test_several_rows_are_averaged() -> None:
    head = build_head(FembaHeadConfig(width=8), SPEC, seed=0)
    x = torch.randn(2, 3, 9, 18, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, True, False]]).expand(2, 3)
    mean = (x[:, :1] + x[:, 1:2]) / 2
    torch.testing.assert_close(head(TokenGrid(x, mask)), head(TokenGrid(mean, mask[:, :1])))


def test_it_has_the_size_that_it_had_in_encoders() -> None:
    """256 wide: the projection, Mamba of 512 channels with 16 states and 4 taps, and two classes."""
    head = build_head(FembaHeadConfig(), HeadSpec(385, 1, 80, TargetSpec.of_classes("ab")), seed=0)
    mamba = 256 * 1024 + 512 * 5 + 512 * (16 + 32) + 16 * 512 + 512 + 512 * 16 + 512 + 512 * 256
    assert sum(p.numel() for p in head.parameters()) == 386 * 256 + mamba + 257 * 2
