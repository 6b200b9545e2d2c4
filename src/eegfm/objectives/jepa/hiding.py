"""Choice of what a micro-batch hides, and of what is asked for. All is drawn on the CPU.

Shapes: B windows, N tokens, P patches per row, S sites: tokens, or patches of all channels together.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from eegfm.encoders.tokens import Visible
from eegfm.nn.context import WindowDraws
from eegfm.nn.device import sent
from eegfm.objectives.latent.spread import some_of
from eegfm.objectives.patches.exact import others
from eegfm.objectives.patches.masks.draw import Grid, MaskDrawer
from eegfm.objectives.patches.rows import Rows


class Hiding(NamedTuple):
    """Hidden and visible sites of a micro-batch.

    Args:
        asked: (B, M) hidden sites, which are asked for, ascending.
        seen: (B, S - M) the others, ascending.
        scored: (B, M) bool, False for a site of absent channels, which fills a list up; None where none does.
        some_asked: (B, n) some of the hidden sites, none of absent channels.
        some_seen: (B, n) places among ``seen`` of some visible sites, none of absent channels.
        visible: Tokens that are encoded, where the encoder can leave tokens out.
    """

    asked: Tensor
    seen: Tensor
    scored: Tensor | None
    some_asked: Tensor
    some_seen: Tensor
    visible: Visible | None = None

    def sent(self, device: torch.device) -> "Hiding":
        """Copy it to a device."""
        visible = None if self.visible is None else self.visible.sent(device)
        asked, seen, some_asked, some_seen = (
            sent(index, device) for index in (self.asked, self.seen, self.some_asked, self.some_seen)
        )
        scored = None if self.scored is None else sent(self.scored, device)
        return Hiding(asked, seen, scored, some_asked, some_seen, visible)


def hidden_tokens(
    masks: MaskDrawer, rows: Rows, grid: Grid, draws: WindowDraws, n_tokens: int, is_present: Tensor | None
) -> Hiding:
    """Hide tokens.

    Args:
        masks: Draws them.
        rows: Rows of tokens that the montage fills.
        grid: The tokens of these rows.
        draws: Random numbers.
        n_tokens: Number N of tokens of all rows.
        is_present: (B, N) bool, which a window really has; None where it has all.
    """
    visible = rows.visible_among_all(masks.visible(grid, draws), grid.n_patches)
    return _hiding(others(visible.index, n_tokens), visible.index, is_present, visible)


def hidden_patches(masks: MaskDrawer, grid: Grid, draws: WindowDraws) -> Hiding:
    """Hide patches of all channels together; see ``hidden_tokens``."""
    patches = masks.masked_patches(grid, draws)
    return _hiding(patches, others(patches, grid.n_patches), None, None)


def _hiding(asked: Tensor, seen: Tensor, is_present: Tensor | None, visible: Visible | None) -> Hiding:
    scored, among_seen = (None if is_present is None else is_present.gather(1, index) for index in (asked, seen))
    places = torch.arange(seen.shape[1]).expand(len(seen), -1)
    return Hiding(asked, seen, scored, some_of(asked, scored), some_of(places, among_seen), visible)
