"""Masks of every kind, against plain loops."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from eegfm.errors import ConfigError
from eegfm.nn.context import WindowDraws
from eegfm.objectives.patches.masks.config import (
    ChannelsMask,
    MaskBase,
    RandomMask,
    RectangleMask,
    RectangularVisibleMask,
    SpatialBlockMask,
    TimeBlockMask,
)
from eegfm.objectives.patches.masks.draw import Grid, MaskDrawer

R, P, B, PATCH = 21, 7, 6, 50
MASKS: list[MaskBase] = [
    RandomMask(), ChannelsMask(), TimeBlockMask(), SpatialBlockMask(),
    RectangleMask(channels=4, samples=2 * PATCH), RectangularVisibleMask(),
]  # fmt: skip


def places() -> NDArray[np.float64]:
    points = np.random.default_rng(3).normal(size=(R, 3))
    points[:, 2] = abs(points[:, 2])
    return points * 0.09 / np.linalg.norm(points, axis=1, keepdims=True)


def grid(present: Tensor | None = None, *, whole_patches: bool = False, n_rows: int = R, n_patches: int = P) -> Grid:
    return Grid(n_rows, n_patches, lambda: places()[:n_rows], present, whole_patches)


def draws(seed: int = 0, n_windows: int = B, place: int = 0, n_parts: int = 1) -> WindowDraws:
    return WindowDraws(Generator().manual_seed(seed), n_windows, place, n_parts)


def drawer(mask: MaskBase, ratio: float = 0.5) -> MaskDrawer:
    return MaskDrawer(mask, ratio, PATCH, 1)


def as_maps(index: Tensor, n_rows: int = R, n_patches: int = P) -> NDArray[np.bool_]:
    """(B, R, P) True for the tokens of a list."""
    maps = np.zeros((len(index), n_rows * n_patches), dtype=bool)
    np.put_along_axis(maps, index.numpy(), True, axis=1)
    return maps.reshape(-1, n_rows, n_patches)


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: m.name)
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.7])
def test_counts_are_exact_and_what_is_visible_is_the_rest(mask: MaskBase, ratio: float) -> None:
    masked, visible = drawer(mask, ratio).masked(grid(), draws()), drawer(mask, ratio).visible(grid(), draws())
    assert torch.equal(torch.cat([masked, visible.index], dim=1).sort(dim=1).values, torch.arange(R * P).expand(B, -1))
    assert torch.equal(masked, masked.sort(dim=1).values)
    counts = {"tokens": round(ratio * R * P), "channels": round(ratio * R) * P, "patches": round(ratio * P) * R}
    if mask.name != "rectangular_visible":
        assert masked.shape == (B, counts[mask.unit])
    else:
        assert abs(masked.shape[1] / (R * P) - ratio) < 0.05
    assert len({tuple(row) for row in masked.tolist()}) > 1, "each window draws its own"
    if visible.rows is not None and visible.patches is not None:
        for index, rows, patches in zip(visible.index, visible.rows, visible.patches, strict=True):
            assert index.tolist() == [r * P + p for r, p in itertools.product(rows.tolist(), patches.tolist())]
    assert (visible.rows is None) is (mask.name in {"random", "rectangle"})


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: m.name)
def test_the_seed_decides_and_two_ranks_draw_what_one_process_does(mask: MaskBase) -> None:
    whole = drawer(mask).masked(grid(), draws())
    assert torch.equal(drawer(mask).masked(grid(), draws()), whole)
    assert not torch.equal(drawer(mask).masked(grid(), draws(seed=1)), whole)
    for rank in range(2):
        assert torch.equal(drawer(mask).masked(grid(), draws(0, B // 2, rank, 2)), whole[rank::2])


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: m.name)
def test_bad_channels_are_not_masked_and_each_window_masks_its_own_share(mask: MaskBase) -> None:
    present = torch.ones(B, R, dtype=torch.bool)
    present[1, :5], present[3, 20] = False, False
    masked = as_maps(drawer(mask).masked(grid(present), draws()))
    shown = as_maps(drawer(mask).visible(grid(present), draws()).index)
    for hidden, visible, there in zip(masked, shown, present.numpy(), strict=True):
        n = int(there.sum())
        assert not (hidden & visible)[there].any()
        assert (hidden | visible)[there].all()
        found = int(hidden[there].sum())
        if mask.name == "rectangular_visible":
            assert abs(found / (n * P) - 0.5) < 0.06
        else:
            assert found == {"tokens": round(n * P / 2), "channels": round(n / 2) * P, "patches": 4 * n}[mask.unit]


def test_whole_channels_and_blocks_of_time() -> None:
    channels = as_maps(drawer(ChannelsMask()).masked(grid(), draws()))
    assert (channels.all(axis=2) | ~channels.any(axis=2)).all()
    starts = set()
    for seed in range(20):
        for hidden in as_maps(drawer(TimeBlockMask()).masked(grid(), draws(seed))):
            assert (hidden == hidden[:1]).all()
            where = np.flatnonzero(hidden[0])
            assert (np.diff(where) == 1).all()
            starts.add(int(where[0]))
    assert starts == {0, 1, 2, 3}, "every place is drawn, the last one too"


def test_a_spatial_block_is_a_channel_and_those_nearest_to_it() -> None:
    unit = places() / 0.09
    centres = set()
    for hidden in as_maps(drawer(SpatialBlockMask(), 0.4).masked(grid(), draws(2, 40))):
        block = set(np.flatnonzero(hidden[:, 0]).tolist())
        assert (hidden == hidden[:, :1]).all()
        around = []
        for centre in block:
            angles = {r: float(np.arccos(np.clip(sum(unit[centre] * unit[r]), -1, 1))) for r in range(R) if r != centre}
            nearest = {centre, *sorted(angles, key=angles.__getitem__)[: len(block) - 1]}
            around += [centre] if nearest == block else []
        assert around
        centres.add(around[0])
    assert len(centres) > 8


def test_rectangles_are_neighbours_and_reach_the_edges() -> None:
    """21 channels by fours, 7 patches by twos: the last group has one channel, the last block one patch."""
    mask = RectangleMask(channels=4, samples=2 * PATCH)
    times_hidden, together = np.zeros((R, P)), np.zeros((R, R))
    for seed in range(60):
        for hidden in as_maps(drawer(mask, 0.3).masked(grid(), draws(seed, 8))):
            times_hidden += hidden
            assert int(hidden.sum()) == round(0.3 * R * P)
            cut_short = (hidden[:, 0:6:2] != hidden[:, 1:6:2]).sum()
            assert cut_short <= 4, "only the last rectangle is cut"
            together += hidden.astype(int) @ hidden.astype(int).T
    share = times_hidden / (60 * 8)
    assert share.min() > 0.2, "no place is never masked, at the edges neither"
    assert share.max() < 0.4
    partner = together / np.sqrt(np.outer(np.diag(together), np.diag(together)))
    groups = [frozenset(np.flatnonzero(row > 0.8).tolist()) for row in partner]
    assert sorted(len(g) for g in set(groups)) == [1, 4, 4, 4, 4, 4]
    unit = places()
    inside = [np.linalg.norm(unit[a] - unit[b]) for g in set(groups) for a, b in itertools.combinations(g, 2)]
    every = [np.linalg.norm(unit[a] - unit[b]) for a, b in itertools.combinations(range(R), 2)]
    assert np.mean(inside) < 0.6 * np.mean(every)


def test_where_channels_are_mixed_whole_patches_are_masked() -> None:
    for mask in (RandomMask(), TimeBlockMask(), RectangularVisibleMask()):
        hidden = as_maps(drawer(mask).masked(grid(whole_patches=True), draws()))
        assert (hidden == hidden[:, :1]).all()
        assert (hidden[:, 0].sum(axis=1) == 4).all()


def test_what_does_not_fit_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"mask.samples 120 is no multiple of the 50 samples .* nearest: 100"):
        drawer(RectangleMask(channels=2, samples=120))
    with pytest.raises(ConfigError, match=r"objective.mask.channels 3 is no multiple of the 2 channels .* nearest: 4"):
        MaskDrawer(RectangleMask(channels=3, samples=100), 0.5, PATCH, 2)
    with pytest.raises(ConfigError, match=r"mask_ratio 0.01 masks 0 of 21 channels"):
        drawer(ChannelsMask(), 0.01).check(grid())


@pytest.mark.parametrize(("n_blocks", "ratio", "n_patches"), [(2, 0.5, 6), (3, 0.4, 10), (3, 0.75, 4)])
def test_blocks_of_time_are_apart_and_stand_everywhere_alike(n_blocks: int, ratio: float, n_patches: int) -> None:
    n = round(ratio * n_patches)
    masks = as_maps(
        drawer(TimeBlockMask(n_blocks=n_blocks), ratio).masked(grid(n_rows=2, n_patches=n_patches), draws(0, 3000)),
        n_rows=2, n_patches=n_patches,
    )  # fmt: skip
    assert np.array_equal(masks[:, 0], masks[:, 1])
    n_found = min(n_blocks, n_patches - n + 1)
    allowed = []
    for chosen in itertools.combinations(range(n_patches), n):
        starts = [k for k in chosen if k - 1 not in chosen]
        lengths = [next(m for m in range(1, n + 1) if k + m not in chosen) for k in starts]
        if len(starts) == n_found and max(lengths) - min(lengths) <= 1 and lengths == sorted(lengths, reverse=True):
            allowed.append(tuple(k in chosen for k in range(n_patches)))
    found, counts = np.unique(masks[:, 0], axis=0, return_counts=True)
    assert {tuple(row) for row in found.tolist()} == set(allowed)
    assert abs(counts / 3000 - 1 / len(allowed)).max() < 0.04
