"""A random subset of the channels."""

import numpy as np
import torch

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.augmentations.channel_subset import ChannelSubset
from eegfm.augmentations.config import ChannelSubsetConfig
from eegfm.batch import WindowBatch, padding_mask
from eegfm.nn.context import Context, WindowDraws

SPEC = spec_of(MONTAGES.values(), 2)


def draws(step: int = 0, n_windows: int = 6) -> WindowDraws:
    return Context(step).window_draws(9, "tuh", n_windows)


def numbered(known: np.ndarray | None = None) -> WindowBatch:
    """Six windows of 21 channels; each channel holds its number, and so do its positions."""
    number = torch.arange(21.0).view(1, 21, 1)
    batch: WindowBatch = {
        **make_batch(21, 0.1, 6),
        "signal": number.expand(6, 21, 20) + 0.0,
        "channel_positions": number.expand(6, 21, 3),
        "second_positions": number.expand(6, 21, 3) + 100,
        "known_mask": known,
    }
    if known is not None:
        batch["channel_mask"] = torch.from_numpy(known)
    return batch


def channels(out: WindowBatch) -> list[list[int]]:
    """Numbers of the channels of each window, where all that travels along agrees."""
    number = out["signal"][..., 0]
    assert torch.equal(out["channel_positions"][..., 1], number)
    assert torch.equal(out["second_positions"][..., 2], number + 100)
    return [list(map(int, row)) for row in number.tolist()]


def test_all_windows_have_the_same_channels_in_their_order() -> None:
    subset = ChannelSubset(ChannelSubsetConfig(n_channels=8), SPEC)
    seen: set[int] = set()
    for step in range(20):
        first, *others = channels(subset(numbered(), draws(step)))
        assert all(other == first for other in others)
        assert first == sorted(set(first))
        assert len(first) == 8
        seen |= set(first)
    assert seen == set(range(21))


def test_nothing_absent_is_known_without_a_look() -> None:
    out = ChannelSubset(ChannelSubsetConfig(n_channels=8), SPEC)(numbered(), draws())
    assert out["known_mask"] is None
    assert padding_mask(out) is None
    assert out["channel_mask"].shape == (6, 8)
    assert out["channel_mask"].stride() == (0, 0)


def test_a_missing_channel_is_replaced_by_the_next() -> None:
    subset = ChannelSubset(ChannelSubsetConfig(n_channels=8), SPEC)
    order = draws().shared_uniform(21).argsort().tolist()
    known = np.ones((6, 21), dtype=np.bool_)
    known[1, order[:2]] = False
    known[2, order[8:]] = False
    known[3] = False
    known[3, [4, 17]] = True
    out = subset(numbered(known), draws())
    found = channels(out)
    assert found[0] == found[2] == found[4] == sorted(order[:8])
    assert found[1] == sorted(order[2:10])
    assert {4, 17} < set(found[3])
    assert out["known_mask"].sum(axis=1).tolist() == [8, 8, 8, 2, 8, 8]
    assert np.array_equal(out["channel_mask"].numpy(), out["known_mask"])
    assert [found[3][k] for k in np.flatnonzero(out["known_mask"][3])] == [4, 17]


def test_the_size_is_a_share_of_the_montage_at_most() -> None:
    config = ChannelSubsetConfig(n_channels=64, ratio=0.5)
    assert {len(row) for row in channels(ChannelSubset(config, SPEC)(numbered(), draws()))} == {10}
    assert [config.size(n) for n in (1, 21, 60, 200)] == [1, 10, 30, 64]


def test_a_small_montage_keeps_all() -> None:
    batch = numbered()
    for n_channels in (21, 40):
        assert ChannelSubset(ChannelSubsetConfig(n_channels=n_channels), SPEC)(batch, draws()) is batch
