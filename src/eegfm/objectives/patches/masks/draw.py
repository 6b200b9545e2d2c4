"""Draw the masks of a micro-batch, in exact numbers; see ``eegfm.objectives.patches.exact``. All on the CPU.

Shapes: B windows, R rows of tokens that the montage fills, P patches per row, N = R * P tokens, M masked, Nv visible.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from eegfm.encoders.tokens import Visible
from eegfm.nn.context import WindowDraws
from eegfm.objectives.patches.exact import (
    lowest,
    lowest_present,
    n_masked,
    n_masked_each,
    n_visible_rows_each,
    others,
    visible_grid,
)
from eegfm.objectives.patches.masks.config import MaskBase, RectangleMask, TimeBlockMask
from eegfm.objectives.patches.masks.places import Places, groups_of_neighbours, ranks_by_distance


@dataclass(frozen=True)
class Grid:
    """The tokens that masks are drawn of.

    Args:
        n_rows: Rows R.
        n_patches: Patches P of each.
        places: Finds where the rows are; called by masks that hide neighbours.
        present: (B, R) bool, False where the channels of a row are bad; None where none is.
        whole_patches: All channels of a patch are masked together.
    """

    n_rows: int
    n_patches: int
    places: Callable[[], Places]
    present: Tensor | None = None
    whole_patches: bool = False

    @property
    def n_tokens(self) -> int:
        """All tokens N."""
        return self.n_rows * self.n_patches

    @property
    def present_tokens(self) -> Tensor | None:
        """(B, N) tokens that each window really has; None where it has all."""
        return None if self.present is None else self.present.repeat_interleave(self.n_patches, dim=1)


class MaskDrawer:
    """Draws masks of one kind. What follows from a montage is computed once.

    Args:
        mask: Kind of the masks.
        ratio: Share of the units that is masked.
        patch_samples: Samples of a patch.
        channels_per_token: Channels of a token.

    Raises:
        ConfigError: Rectangles cut tokens.
    """

    def __init__(self, mask: MaskBase, ratio: float, patch_samples: int, channels_per_token: int) -> None:
        mask.check(patch_samples, channels_per_token)
        self.mask, self.ratio = mask, ratio
        self._patch_samples, self._channels_per_token = patch_samples, channels_per_token
        self._neighbourhoods: dict[bytes, _Neighbourhood] = {}

    def check(self, grid: Grid) -> None:
        """Refuse windows of which nothing is masked, or nothing visible.

        Raises:
            ConfigError: See ``n_masked``.
        """
        self._n_units(grid)

    def masked(self, grid: Grid, draws: WindowDraws) -> Tensor:
        """(B, M) masked tokens, ascending; absent ones fill up the list of a window that has fewer tokens."""
        if self.mask.name == "rectangular_visible" and not grid.whole_patches:
            return others(self._visible_rectangle(grid, draws).index, grid.n_tokens)
        order, n = self._order(grid, draws), self._n_tokens(grid)
        if grid.present_tokens is None:
            return lowest(order, n)
        return lowest_present(order, grid.present_tokens, self._n_each(grid), n)

    def visible(self, grid: Grid, draws: WindowDraws) -> Visible:
        """Return the tokens that are not masked, as a grid where they are one; absent ones fill up a window's list."""
        if self.mask.name == "rectangular_visible" and not grid.whole_patches:
            return self._visible_rectangle(grid, draws)
        if self.unit(grid) == "patches":
            patches = self.masked_patches(grid, draws)
            everywhere = torch.arange(grid.n_rows).expand(len(patches), -1)
            return Visible.grid(everywhere, others(patches, grid.n_patches), grid.n_patches)
        order, n = self._order(grid, draws), self._n_tokens(grid)
        present = grid.present_tokens
        if present is not None:
            n_each = present.sum(dim=1) - self._n_each(grid)
            return Visible(lowest_present(-order, present, n_each, grid.n_tokens - n))
        index = others(lowest(order, n), grid.n_tokens)
        if self.unit(grid) == "tokens":
            return Visible(index)
        rows = index[:, :: grid.n_patches] // grid.n_patches
        return Visible.grid(rows, torch.arange(grid.n_patches).expand(len(rows), -1), grid.n_patches)

    def masked_patches(self, grid: Grid, draws: WindowDraws) -> Tensor:
        """(B, n) patches that are masked in all channels, ascending; those of ``masked``, where it masks whole ones."""
        n = self._n_units(grid)
        if self.mask.name != "time_block":
            return lowest(draws.uniform(grid.n_patches), n)
        assert isinstance(self.mask, TimeBlockMask)
        n_places = grid.n_patches - n + 1
        n_blocks = min(self.mask.n_blocks, n, n_places)
        if n_blocks == 1:
            return (draws.uniform(1) * n_places).long() + torch.arange(n)
        # Each block stands in one of the places before, between and behind the visible patches.
        places = lowest(draws.uniform(n_places), n_blocks)
        return places[:, torch.arange(n) * n_blocks // n] + torch.arange(n)

    def unit(self, grid: Grid) -> str:
        """Return what is masked as a whole: tokens, channels or patches."""
        return "patches" if grid.whole_patches else self.mask.unit

    def _n_units(self, grid: Grid) -> int:
        n = {"tokens": grid.n_tokens, "channels": grid.n_rows, "patches": grid.n_patches}[self.unit(grid)]
        return n_masked(self.ratio, n, self.unit(grid))

    def _n_tokens(self, grid: Grid) -> int:
        per_unit = {"tokens": 1, "channels": grid.n_patches, "patches": grid.n_rows}[self.unit(grid)]
        return per_unit * self._n_units(grid)

    def _n_each(self, grid: Grid) -> Tensor:
        """(B,) how many of its own tokens each window masks."""
        assert grid.present is not None
        n_rows = grid.present.sum(dim=1)
        if self.unit(grid) == "patches":
            return n_rows * self._n_units(grid)
        if self.unit(grid) == "channels":
            return n_masked_each(self.ratio, n_rows) * grid.n_patches
        return n_masked_each(self.ratio, n_rows * grid.n_patches)

    def _order(self, grid: Grid, draws: WindowDraws) -> Tensor:
        """(B, N) numbers; a window's lowest ones are masked."""
        R, P = grid.n_rows, grid.n_patches
        if self.unit(grid) == "patches":
            hidden = torch.ones(draws.n_windows, P).scatter_(1, self.masked_patches(grid, draws), 0.0)
            return hidden.repeat(1, R)
        if self.mask.name == "channels":
            return draws.uniform(R).repeat_interleave(P, dim=1)
        if self.mask.name == "spatial_block":
            return self._distances(grid, draws).repeat_interleave(P, dim=1)
        if isinstance(self.mask, RectangleMask):
            return self._rectangles(self.mask, grid, draws)
        return draws.uniform(grid.n_tokens)

    def _distances(self, grid: Grid, draws: WindowDraws) -> Tensor:
        """(B, R) ranks of the rows by their distance from a drawn one, which is there."""
        noise = draws.uniform(grid.n_rows)
        if grid.present is not None:
            noise = noise.masked_fill(~grid.present, 2.0)
        return self._neighbourhood(grid).ranks[noise.argmin(dim=1)].to(noise.dtype)

    def _rectangles(self, mask: RectangleMask, grid: Grid, draws: WindowDraws) -> Tensor:
        """(B, N) rank of each token's rectangle, drawn, and of the token within it."""
        P = grid.n_patches
        group = self._neighbourhood(grid).groups(mask.channels // self._channels_per_token)
        per_block = mask.samples // self._patch_samples
        block, n_blocks = torch.arange(P) // per_block, -(-P // per_block)
        rectangle = (group.unsqueeze(1) * n_blocks + block.unsqueeze(0)).flatten()
        noise = draws.uniform((int(group.max()) + 1) * n_blocks)
        rank = noise.argsort(dim=1).argsort(dim=1)[:, rectangle]
        return rank.double() * grid.n_tokens + torch.arange(grid.n_tokens)

    def _visible_rectangle(self, grid: Grid, draws: WindowDraws) -> Visible:
        n_rows, n_patches = visible_grid(self.ratio, grid.n_rows, grid.n_patches)
        noise = draws.uniform(grid.n_rows)
        if grid.present is None:
            rows = lowest(noise, n_rows)
        else:
            n_each = n_visible_rows_each(n_rows, grid.n_rows, grid.present.sum(dim=1))
            rows = lowest_present(noise, grid.present, n_each, n_rows)
        return Visible.grid(rows, lowest(draws.uniform(grid.n_patches), n_patches), grid.n_patches)

    def _neighbourhood(self, grid: Grid) -> "_Neighbourhood":
        places_m = grid.places()
        return self._neighbourhoods.setdefault(places_m.tobytes(), _Neighbourhood(places_m))


class _Neighbourhood:
    """Nearness of the rows of one montage."""

    def __init__(self, places_m: Places) -> None:
        self._places_m = places_m
        self._groups: dict[int, Tensor] = {}

    @cached_property
    def ranks(self) -> Tensor:
        """(R, R) see ``ranks_by_distance``."""
        return torch.from_numpy(ranks_by_distance(self._places_m))

    def groups(self, size: int) -> Tensor:
        """(R,) see ``groups_of_neighbours``."""
        if size not in self._groups:
            self._groups[size] = torch.from_numpy(groups_of_neighbours(self._places_m, size).astype(np.int64))
        return self._groups[size]
