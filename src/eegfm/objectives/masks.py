"""Which tokens of a window are hidden: exact counts, so that shapes stay the same from batch to batch."""

import math

import torch
from torch import Generator, Tensor

from eegfm.errors import ConfigError

_LAST = 2.0  # beyond any noise


def n_hidden(mask_ratio: float, n_tokens: int, what: str = "tokens") -> int:
    """How many of a window's tokens (or of ``what`` is counted) are hidden.

    Raises:
        ConfigError: None or all of them.
    """
    n = round(mask_ratio * n_tokens)
    if not 0 < n < n_tokens:
        raise ConfigError(
            f"objective.mask_ratio {mask_ratio:g} hides {n} of {n_tokens} {what}; "
            "some must stay hidden and some visible: change it, or use longer windows"
        )
    return n


def draw_hidden(n_windows: int, n_tokens: int, mask_ratio: float, generator: Generator, what: str = "tokens") -> Tensor:
    """Draw exactly ``round(mask_ratio * N)`` tokens of each window, uniformly without replacement.

    Returns:
        (B, M) int64 token indices, ascending, on the generator's device.

    Raises:
        ConfigError: The ratio hides none or all tokens.
    """
    return draw(n_windows, n_tokens, n_hidden(mask_ratio, n_tokens, what), generator)


def draw_hidden_each(n_each: Tensor, mask_ratio: float, generator: Generator) -> Tensor:
    """Draw ``round(mask_ratio * n)`` of each window's own n tokens, at least one and not all; see ``draw_each``.

    Raises:
        ConfigError: The ratio hides none or all tokens of the largest window.
    """
    n_hidden(mask_ratio, int(n_each.max()))
    n_drawn = torch.tensor([max(1, min(round(mask_ratio * n), n - 1)) for n in n_each.tolist()])
    return draw_each(n_each, n_drawn, generator)


def draw(n_windows: int, n: int, n_drawn: int, generator: Generator, n_each: Tensor | None = None) -> Tensor:
    """(B, n_drawn) of the numbers below n, ascending, uniformly without replacement, on the generator's device.

    With ``n_each`` (B,), those of a window are below its own number, which is at least ``n_drawn``.
    """
    noise = torch.rand(n_windows, n, generator=generator, device=generator.device)
    if n_each is not None:
        noise = noise.masked_fill(_is_beyond(n_each.to(noise.device), n), _LAST)
    return noise.argsort(dim=1)[:, :n_drawn].sort(dim=1).values


def draw_each(n_each: Tensor, n_drawn: Tensor, generator: Generator) -> Tensor:
    """Draw from windows of different sizes, uniformly without replacement.

    Args:
        n_each: (B,) how many numbers each window has.
        n_drawn: (B,) how many of them are drawn.
        generator: Source of the draw.

    Returns:
        (B, M) numbers, ascending, with M the largest of ``n_drawn``. A window that has fewer is filled up with numbers
        of its own size and above, which stand for nothing. With equal sizes the numbers are those of ``draw``.
    """
    n, device = int(n_each.max()), generator.device
    n_each, n_drawn = n_each.to(device), n_drawn.to(device)
    noise = torch.rand(len(n_each), n, generator=generator, device=device)
    is_beyond = _is_beyond(n_each, n)
    rank = noise.masked_fill(is_beyond, _LAST).argsort(dim=1).argsort(dim=1)
    is_left = ~is_beyond & (rank >= n_drawn.unsqueeze(1))
    first = (is_left * 2 + is_beyond * 1).argsort(dim=1, stable=True)[:, : int(n_drawn.max())]
    return first.sort(dim=1).values


def _is_beyond(n_each: Tensor, n: int) -> Tensor:
    return torch.arange(n, device=n_each.device) >= n_each.unsqueeze(1)


def others(index: Tensor, n: int) -> Tensor:
    """The numbers below n that are not among (B, M) indices: (B, n - M), ascending."""
    is_taken = torch.zeros(len(index), n, dtype=torch.int8, device=index.device).scatter_(1, index, 1)
    return is_taken.argsort(dim=1, stable=True)[:, : n - index.shape[1]]


def visible_grid(mask_ratio: float, n_rows: int, n_patches: int) -> tuple[int, int]:
    """Rows and patches that are visible together, about equal shares of each; they follow from the sizes alone.

    The share of patches is the root of the visible share, as near as whole patches allow; rows make up for the rest.

    Raises:
        ConfigError: The ratio hides none or all tokens.
    """
    n_visible = n_rows * n_patches - n_hidden(mask_ratio, n_rows * n_patches)
    share = n_visible / (n_rows * n_patches)
    least = math.ceil(n_visible / n_rows)  # with fewer patches all rows would not be enough
    patches = max(least, round(math.sqrt(share) * n_patches))
    rows = max(1, round(n_visible / patches))
    if rows == n_rows and patches == n_patches:
        # Something must be hidden: the line that holds fewest tokens.
        rows, patches = (rows - 1, patches) if n_patches <= n_rows else (rows, patches - 1)
    return rows, patches
