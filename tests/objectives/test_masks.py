"""Which tokens are hidden."""

import math

import pytest
import torch

from eegfm.errors import ConfigError
from eegfm.objectives.masks import draw, draw_each, draw_hidden, draw_hidden_each, others, visible_grid


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("ratio", "n_tokens"), [(0.5, 84), (0.3, 15), (0.75, 516), (0.1, 7), (0.5, 15)])
def test_counts_are_exact_in_every_window(ratio: float, n_tokens: int) -> None:
    hidden = draw_hidden(32, n_tokens, ratio, generator(0))
    assert hidden.shape == (32, round(ratio * n_tokens))
    for row in hidden.tolist():
        assert sorted(set(row)) == row
        assert 0 <= row[0] <= row[-1] < n_tokens


def test_masks_differ_between_windows_and_repeat_with_the_seed() -> None:
    hidden = draw_hidden(32, 60, 0.5, generator(4))
    assert torch.equal(hidden, draw_hidden(32, 60, 0.5, generator(4)))
    assert not torch.equal(hidden, draw_hidden(32, 60, 0.5, generator(5)))
    assert len({tuple(row) for row in hidden.tolist()}) == 32


def test_every_token_is_hidden_equally_often() -> None:
    hidden = draw_hidden(4000, 20, 0.4, generator(0))
    share = torch.bincount(hidden.flatten(), minlength=20) / 4000
    assert (share - 0.4).abs().max() < 0.04  # five standard errors


def test_others_are_the_rest_in_order() -> None:
    drawn = draw(16, 12, 5, generator(1))
    for row, rest in zip(drawn.tolist(), others(drawn, 12).tolist(), strict=True):
        assert rest == sorted(set(range(12)) - set(row))
    assert others(torch.arange(4).expand(2, -1), 4).shape == (2, 0)


@pytest.mark.parametrize(("ratio", "n_tokens"), [(0.5, 84), (0.3, 15), (0.9, 10)])
def test_windows_of_one_size_are_drawn_from_as_ever(ratio: float, n_tokens: int) -> None:
    expected = draw_hidden(32, n_tokens, ratio, generator(2))
    assert torch.equal(draw_hidden_each(torch.full((32,), n_tokens), ratio, generator(2)), expected)
    each = torch.full((32,), n_tokens)
    assert torch.equal(draw(32, n_tokens, 3, generator(2), each), draw(32, n_tokens, 3, generator(2)))


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.75, 0.9])
def test_every_window_is_drawn_from_by_its_own_size(ratio: float) -> None:
    sizes = torch.tensor([20, 19, 12, 2, 1])
    hidden = draw_hidden_each(sizes, ratio, generator(0))
    assert hidden.shape == (5, round(20 * ratio))
    for n, row in zip(sizes.tolist(), hidden.tolist(), strict=True):
        assert row == sorted(set(row))
        assert max(row) < 20
        assert sum(k < n for k in row) == max(1, min(round(ratio * n), n - 1))
    few = draw(4000, 9, 2, generator(0), torch.tensor([9, 4] * 2000))
    assert few[1::2].max() == 3
    share = torch.bincount(draw_each(torch.tensor([5, 3] * 4000), torch.tensor([2, 1] * 4000), generator(1))[1::2, 0])
    assert (share / 4000 - 1 / 3).abs().max() < 0.04  # five standard errors


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.6, 0.75, 0.9])
@pytest.mark.parametrize(("n_rows", "n_patches"), [(129, 4), (129, 20), (129, 1), (129, 2), (21, 10), (19, 30), (4, 3)])
def test_a_grid_shows_what_is_not_hidden(ratio: float, n_rows: int, n_patches: int) -> None:
    rows, patches = visible_grid(ratio, n_rows, n_patches)
    assert 1 <= rows <= n_rows
    assert 1 <= patches <= n_patches
    assert rows * patches < n_rows * n_patches
    n_visible = n_rows * n_patches - round(ratio * n_rows * n_patches)
    assert abs(rows * patches - n_visible) <= patches / 2  # nearest number of whole rows
    if n_patches >= 10 and n_rows >= 19:
        assert patches / n_patches == pytest.approx(math.sqrt(1 - ratio), abs=0.6 / n_patches)
        assert rows / n_rows == pytest.approx(math.sqrt(1 - ratio), abs=0.08)


def test_something_is_always_hidden() -> None:
    """Where the nearest grid is the whole window, the smaller of one row and one patch is hidden."""
    assert visible_grid(0.13, 2, 4) == (2, 3)
    assert visible_grid(0.13, 4, 2) == (3, 2)
    with pytest.raises(ConfigError, match="hides 0 of 4 tokens"):
        visible_grid(0.1, 2, 2)
