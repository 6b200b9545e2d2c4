"""Draws of masked tokens."""

import math

import pytest
import torch
from torch import Tensor

from eegfm.errors import ConfigError
from eegfm.objectives.patches.exact import (
    lowest,
    lowest_present,
    n_masked,
    n_masked_each,
    n_visible_rows_each,
    others,
    visible_grid,
)


def noise(n_windows: int, n: int, seed: int) -> Tensor:
    return torch.rand(n_windows, n, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("ratio", "n_tokens"), [(0.5, 84), (0.3, 15), (0.75, 516), (0.1, 7), (0.5, 15)])
def test_counts_are_exact_in_every_window(ratio: float, n_tokens: int) -> None:
    masked = lowest(noise(32, n_tokens, 0), n_masked(ratio, n_tokens))
    assert masked.shape == (32, round(ratio * n_tokens))
    for row in masked.tolist():
        assert sorted(set(row)) == row
        assert 0 <= row[0] <= row[-1] < n_tokens
    assert len({tuple(row) for row in masked.tolist()}) > 1


def test_every_token_is_masked_equally_often() -> None:
    masked = lowest(noise(4000, 20, 0), n_masked(0.4, 20))
    share = torch.bincount(masked.flatten(), minlength=20) / 4000
    assert (share - 0.4).abs().max() < 0.04  # five standard errors


def test_others_are_the_rest_in_order() -> None:
    drawn = lowest(noise(16, 12, 1), 5)
    for row, rest in zip(drawn.tolist(), others(drawn, 12).tolist(), strict=True):
        assert rest == sorted(set(range(12)) - set(row))
    assert others(torch.arange(4).expand(2, -1), 4).shape == (2, 0)


def some_absent(n_rows: int, n_patches: int, n_present: list[int], seed: int = 0) -> Tensor:
    """(B, N) with whole rows absent, other rows in every window."""
    order = noise(len(n_present), n_rows, seed).argsort(dim=1).argsort(dim=1)
    return (order < torch.tensor(n_present).unsqueeze(1)).repeat_interleave(n_patches, dim=1)


@pytest.mark.parametrize(("ratio", "n_tokens"), [(0.5, 84), (0.3, 15), (0.9, 10)])
def test_with_all_tokens_present_both_ways_agree(ratio: float, n_tokens: int) -> None:
    n, values = n_masked(ratio, n_tokens), noise(32, n_tokens, 2)
    everywhere = torch.ones(32, n_tokens, dtype=torch.bool)
    each = n_masked_each(ratio, everywhere.sum(dim=1))
    assert each.tolist() == [n] * 32
    assert torch.equal(lowest_present(values, everywhere, each, n), lowest(values, n))


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize(("n_rows", "n_patches"), [(19, 4), (5, 3), (129, 1), (4, 10), (4, 3)])
def test_every_window_masks_its_own_share_of_its_own_tokens(ratio: float, n_rows: int, n_patches: int) -> None:
    sizes = sorted({n_rows, n_rows - 1, n_rows // 2, 1, 0}, reverse=True)
    present = some_absent(n_rows, n_patches, sizes)
    n, each = n_masked(ratio, n_rows * n_patches), n_masked_each(ratio, present.sum(dim=1))
    masked = lowest_present(noise(len(sizes), n_rows * n_patches, 3), present, each, n)
    assert masked.shape == (len(sizes), n)
    for size, row, here in zip(sizes, masked.tolist(), present.tolist(), strict=True):
        tokens = size * n_patches
        assert row == sorted(set(row))
        expected = min(tokens, max(1, min(round(ratio * tokens), tokens - 1)))
        assert sum(here[k] for k in row) == expected


def test_a_window_is_masked_the_same_whatever_stands_beside_it() -> None:
    values, present = noise(4, 40, 5), some_absent(10, 4, [10, 8, 3, 9])
    each = n_masked_each(0.5, present.sum(dim=1))
    together = lowest_present(values, present, each, 20)
    for k in range(4):
        alone = lowest_present(values[k : k + 1], present[k : k + 1], each[k : k + 1], 20)
        assert torch.equal(alone[0], together[k])


def test_present_tokens_are_masked_equally_often() -> None:
    present = torch.ones(6000, 5, dtype=torch.bool)
    present[:, 1] = False
    masked = lowest_present(noise(6000, 5, 1), present, torch.full((6000,), 2), 2)
    share = torch.bincount(masked.flatten(), minlength=5) / 6000
    assert share[1] == 0
    assert (share[[0, 2, 3, 4]] - 0.5).abs().max() < 0.04  # six standard errors


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.6, 0.75, 0.9])
@pytest.mark.parametrize(("n_rows", "n_patches"), [(129, 4), (129, 20), (129, 1), (129, 2), (21, 10), (19, 30), (4, 3)])
def test_a_grid_shows_the_visible_share(ratio: float, n_rows: int, n_patches: int) -> None:
    rows, patches = visible_grid(ratio, n_rows, n_patches)
    assert 1 <= rows <= n_rows
    assert 1 <= patches <= n_patches
    assert rows * patches < n_rows * n_patches
    n_visible = n_rows * n_patches - round(ratio * n_rows * n_patches)
    assert abs(rows * patches - n_visible) <= patches / 2  # nearest number of whole rows
    if n_patches >= 10 and n_rows >= 19:
        assert patches / n_patches == pytest.approx(math.sqrt(1 - ratio), abs=0.6 / n_patches)
        assert rows / n_rows == pytest.approx(math.sqrt(1 - ratio), abs=0.08)
    for n_present in range(n_rows + 1):
        (each,) = n_visible_rows_each(rows, n_rows, torch.tensor([n_present])).tolist()
        assert min(n_present, 1) <= each <= min(rows, n_present), "absent rows fill up the others"
        assert rows - each <= n_rows - n_present
        assert patches < n_patches or each < max(n_present, 2), "something is masked"


def test_something_is_always_masked() -> None:
    """Where the nearest grid is the whole window, the smaller of one row and one patch is masked."""
    assert visible_grid(0.13, 2, 4) == (2, 3)
    assert visible_grid(0.13, 4, 2) == (3, 2)
    with pytest.raises(ConfigError, match="masks 0 of 4 tokens"):
        visible_grid(0.1, 2, 2)
