"""Lay out encoded tokens as a grid with registers, and read the grid back.

Shapes: B windows, R rows, P patches, N = R * P tokens, Nv visible tokens, D width, n registers.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from eegfm.encoders.tokens import Tokens, Visible, take


class Grid(NamedTuple):
    """Tokens as layers see them.

    Args:
        x: (B, R', P', D).
        time: Patch numbers (P',), or (B, 1, P') where windows differ.
        mask: (B, R', P') tokens that others may see; None where all may.
        places: (B or 1, R', P' or 1, D) where tokens lie; zero for registers, which lie nowhere.
    """

    x: Tensor
    time: Tensor
    mask: Tensor | None
    places: Tensor


def lay_out_rows(tokens: Tokens, visible: Visible | None, registers: Tensor | None) -> Grid:
    """Rows by patches; registers are the last rows.

    A visible set that is a grid itself is gathered. Of another, the rest stays where it is and is kept from
    attention. A register is seen in those patches of which any token is.

    Args:
        tokens: Tokens of all patches.
        visible: Those that are encoded; all if not given.
        registers: (n, D), or None.
    """
    B, P = len(tokens.content), tokens.n_patches
    time = torch.arange(P, device=tokens.content.device)
    mask = tokens.key_mask
    if visible is not None and visible.patches is not None:
        x, mask, position = _gathered(tokens, visible.index)
        P = visible.patches.shape[1]
        time = visible.patches.unsqueeze(1)
    else:
        position = tokens.position
        x = tokens.everywhere() + position
        if visible is not None:
            is_visible = visible.mask(x.shape[1])
            mask = is_visible if mask is None else mask & is_visible
    x = x.view(B, -1, P, x.shape[-1])
    mask = None if mask is None else mask.view(B, -1, P)
    places = position.view(len(position), -1, P, x.shape[-1])[:, :, :1]  # the patches of a row lie at one place
    if registers is not None:
        n = len(registers)
        x = torch.cat((x, registers[:, None].expand(B, n, P, -1)), dim=1)
        if mask is not None:
            mask = torch.cat((mask, mask.any(dim=1, keepdim=True).expand(B, n, P)), dim=1)
        places = pad(places, (0, 0, 0, 0, 0, n))
    return Grid(x, time, mask, places)


def lay_out_sequence(tokens: Tokens, visible: Visible | None, registers: Tensor | None) -> Grid:
    """One row of all tokens; registers, always seen, are the last n * P. See ``lay_out_rows``."""
    B, P = len(tokens.content), tokens.n_patches
    patches = torch.arange(P, device=tokens.content.device)
    if visible is None:
        position = tokens.position
        x, mask, time = tokens.content + position, tokens.key_mask, patches.repeat(tokens.n_rows)
    else:
        x, mask, position = _gathered(tokens, visible.index)
        time = visible.index.unsqueeze(1) % P
    if registers is not None:
        n = len(registers)
        x = torch.cat((x, registers.repeat_interleave(P, dim=0).expand(B, n * P, -1)), dim=1)
        time = torch.cat((time, patches.repeat(n).expand(*time.shape[:-1], n * P)), dim=-1)
        if mask is not None:
            mask = torch.cat((mask, mask.new_ones(B, n * P)), dim=1)
        position = pad(position, (0, 0, 0, n * P))
    return Grid(x.unsqueeze(1), time, None if mask is None else mask.unsqueeze(1), position.unsqueeze(1))


def take_rows(x: Tensor, visible: Visible | None, n_registers: int) -> tuple[Tensor, Tensor]:
    """Tokens (B, Nv, D) and registers (B, n, P', D) of what ``lay_out_rows`` laid out."""
    R = x.shape[1] - n_registers
    tokens, registers = x[:, :R].flatten(1, 2), x[:, R:]
    if visible is not None and visible.patches is None:
        tokens = take(tokens, visible.index)
    return tokens, registers


def take_sequence(x: Tensor, n_registers: int, n_patches: int) -> tuple[Tensor, Tensor]:
    """Tokens (B, Nv, D) and registers (B, n, P, D) of what ``lay_out_sequence`` laid out."""
    n_tokens = x.shape[2] - n_registers * n_patches
    return x[:, 0, :n_tokens], x[:, 0, n_tokens:].reshape(len(x), n_registers, n_patches, x.shape[-1])


def _gathered(tokens: Tokens, index: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
    """Visible tokens (B, Nv, D), which of them others may see, and where they lie."""
    position = take(tokens.position, index)
    mask = None if tokens.key_mask is None else tokens.key_mask.take_along_dim(index, dim=1)
    return tokens.content_of(index) + position, mask, position
