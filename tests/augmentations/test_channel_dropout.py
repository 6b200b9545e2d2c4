"""Channels that become absent at random."""

from typing import Any

import numpy as np
import pytest
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.channel_dropout import ChannelDropout
from eegfm.augmentations.config import ChannelDropoutConfig
from eegfm.batch import WindowBatch
from eegfm.nn.context import Context, WindowDraws

SPEC = spec_of(MONTAGES.values(), 2)


def draws(n_windows: int) -> WindowDraws:
    return Context(1).window_draws(9, "tuh", n_windows)


def batch_of(n_windows: int, known: Any) -> WindowBatch:
    batch: WindowBatch = {**make_batch(19, 0.1, n_windows), "known_mask": known}
    if known is not None:
        batch["channel_mask"] = torch.from_numpy(known).expand(n_windows, -1)
    return batch


@pytest.mark.parametrize("ratio", [0.1, 0.5])
def test_the_share_is_as_asked(ratio: float) -> None:
    out = ChannelDropout(ChannelDropoutConfig(ratio=ratio), SPEC)(batch_of(400, None), draws(400))
    is_left = out["channel_mask"]
    assert float(is_left.float().mean()) == pytest.approx(1 - ratio, abs=0.02)
    assert np.array_equal(out["known_mask"], is_left.numpy())
    assert torch.equal(out["signal"] != 0, is_left.unsqueeze(-1).expand_as(out["signal"]))
    drawn = draws(400).uniform(19)
    assert torch.equal(is_left, (drawn >= ratio) | (drawn == drawn.amax(dim=1, keepdim=True)))


@pytest.mark.parametrize("n_rows", [1, 50])
def test_no_window_is_left_without_a_channel(n_rows: int) -> None:
    known = np.zeros((n_rows, 19), dtype=np.bool_)
    known[:, [3, 7]] = True
    out = ChannelDropout(ChannelDropoutConfig(ratio=0.99), SPEC)(batch_of(50, known), draws(50))
    assert not (out["known_mask"] & ~known).any()
    assert set(out["known_mask"].sum(axis=1)) <= {1, 2}
    assert (out["known_mask"].sum(axis=1) == 1).mean() > 0.9
    assert out["known_mask"].any(axis=0)[[3, 7]].all(), "not always the same one"


def test_a_window_of_padding_stays_one() -> None:
    known = np.ones((3, 19), dtype=np.bool_)
    known[1] = False
    out = ChannelDropout(ChannelDropoutConfig(), SPEC)(batch_of(3, known), draws(3))
    assert not out["known_mask"][1].any()
    assert not out["signal"][1].any()
