"""Draw masked tokens of a window in exact numbers, so that shapes are the same from batch to batch.

Every function takes random numbers of the windows at hand, one per token or per line of tokens, and masks the lowest.
A window's masks therefore depend on no other window. Tokens of absent channels, padding or bad, are never masked
themselves: they fill up the list of a window that has fewer tokens than the others, and nothing sees or scores them.

Shapes: B windows, N tokens, M masked tokens.
"""

import math

import torch
from torch import Tensor

from eegfm.errors import ConfigError


def n_masked(mask_ratio: float, n_tokens: int, what: str = "tokens") -> int:
    """Return the number of a window's tokens (or of the units in ``what``) that are masked.

    Raises:
        ConfigError: None or all of them.
    """
    n = round(mask_ratio * n_tokens)
    if not 0 < n < n_tokens:
        raise ConfigError(
            f"objective.mask_ratio {mask_ratio:g} masks {n} of {n_tokens} {what}; "
            "some must be masked and some visible: change it, or use longer windows"
        )
    return n


def n_masked_each(mask_ratio: float, n_present: Tensor) -> Tensor:
    """(B,) how many of each window's own (B,) tokens are masked: at least one and not all, where it has several."""
    return torch.tensor([max(min(round(mask_ratio * n), n - 1), min(n, 1)) for n in n_present.tolist()])


def lowest(noise: Tensor, n: int) -> Tensor:
    """(B, n) places of the lowest of (B, N) random numbers, ascending: drawn uniformly without replacement."""
    return noise.argsort(dim=1)[:, :n].sort(dim=1).values


def lowest_present(noise: Tensor, is_present: Tensor, n_each: Tensor, n: int) -> Tensor:
    """(B, n) places, ascending: each window's own lowest among those present, filled up with absent ones.

    Args:
        noise: (B, N) numbers, random or not.
        is_present: (B, N) bool; all absent places of a window together must be enough to fill it up.
        n_each: (B,) how many each window draws.
        n: How many there are in the end, at least the most of ``n_each``.
    """
    rank = noise.masked_fill(~is_present, math.inf).argsort(dim=1).argsort(dim=1)
    is_drawn = is_present & (rank < n_each.unsqueeze(1))
    order = is_drawn.to(torch.int8) * 2 + (~is_present).to(torch.int8)
    return order.argsort(dim=1, descending=True, stable=True)[:, :n].sort(dim=1).values


def others(index: Tensor, n: int) -> Tensor:
    """Return the numbers below n that are not among (B, M) indices: (B, n - M), ascending."""
    is_taken = torch.zeros(len(index), n, dtype=torch.int8, device=index.device).scatter_(1, index, 1)
    return is_taken.argsort(dim=1, stable=True)[:, : n - index.shape[1]]


def visible_grid(mask_ratio: float, n_rows: int, n_patches: int) -> tuple[int, int]:
    """Return the rows and patches that are visible together, about equal shares of each, from the sizes alone.

    The share of patches is the root of the visible share, as near as whole patches allow; rows make up for the rest.

    Raises:
        ConfigError: The ratio masks none or all tokens.
    """
    n_visible = n_rows * n_patches - n_masked(mask_ratio, n_rows * n_patches)
    share = n_visible / (n_rows * n_patches)
    least = math.ceil(n_visible / n_rows)  # with fewer patches all rows would not be enough
    patches = max(least, round(math.sqrt(share) * n_patches))
    rows = max(1, round(n_visible / patches))
    if rows == n_rows and patches == n_patches:
        # Something must be masked: the line that holds fewest tokens.
        rows, patches = (rows - 1, patches) if n_patches <= n_rows else (rows, patches - 1)
    return rows, patches


def n_visible_rows_each(n_visible: int, n_rows: int, n_present: Tensor) -> Tensor:
    """(B,) how many of each window's own (B,) rows are visible: the share that ``n_visible`` is of all rows."""
    if n_visible == n_rows:
        return n_present
    shares = [(n, round(n_visible * n / n_rows)) for n in n_present.tolist()]
    return torch.tensor([max(min(share, n - 1), min(n, 1)) for n, share in shares])
