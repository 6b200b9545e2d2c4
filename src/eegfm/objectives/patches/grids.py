"""The tokens of a batch that masks are drawn of.

Shapes: B windows, R rows of tokens, P patches per row.
"""

from functools import partial

import numpy as np

from eegfm.batch import WindowBatch
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone
from eegfm.objectives.patches.masks.config import MaskBase
from eegfm.objectives.patches.masks.draw import Grid, MaskDrawer
from eegfm.objectives.patches.masks.places import Places, rows_of
from eegfm.objectives.patches.rows import Rows


class TokenGrids:
    """Finds rows of tokens, and where they are on the scalp.

    Args:
        backbone: The encoder whose tokens are masked, and everything before it.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._group = backbone.encoder.channels_per_token
        self._places_m = {
            name: rows_of(montage.positions(), self._group) for name, montage in backbone.encoder_spec.montages.items()
        }

    def check(self, masks: MaskDrawer, *, whole_patches: bool) -> None:
        """Refuse masks with which a window of the data has nothing masked, or nothing visible.

        Raises:
            ConfigError: See ``MaskDrawer.check``.
        """
        for grid in self.longest(whole_patches=whole_patches).values():
            masks.check(grid)

    def longest(self, *, whole_patches: bool) -> dict[str, Grid]:
        """Return the tokens of the windows of each montage, by its name, none of them absent."""
        spec, encoder = self._backbone.encoder_spec, self._backbone.encoder
        grids = {}
        for name, n_samples in spec.n_samples.items():
            filled, places_m = self._backbone.adapter.filled_channels(name), self._places_m[name]
            if filled is not None:
                places_m = places_m[encoder.grouped(filled.unsqueeze(0))[0].any(dim=1).numpy()]
            n_patches = n_samples // encoder.patch_samples
            grids[name] = Grid(len(places_m), n_patches, partial(np.asarray, places_m), whole_patches=whole_patches)
        return grids

    def of(self, batch: WindowBatch, n_rows: int, n_patches: int, *, whole_patches: bool) -> tuple[Rows, Grid]:
        """Find the rows of tokens that masks are drawn of.

        Args:
            batch: Windows.
            n_rows: Rows R of tokens.
            n_patches: Patches P of each.
            whole_patches: All channels of a patch are masked together.
        """
        rows = Rows.of(self._backbone, batch, n_rows)

        def places() -> Places:
            found = self._places_m[batch["montage"]]
            if len(found) != n_rows:  # an augmentation left channels out
                found = rows_of(batch["channel_positions"][0].cpu().numpy(), self._group)
            return found if rows.index is None else found[rows.index.numpy()]

        return rows, Grid(rows.n, n_patches, places, rows.present, whole_patches=whole_patches)


def mixes_channels(mask: MaskBase, backbone: Backbone) -> bool:
    """Return whether learned weights mix channels, so that all channels of a patch must be masked together.

    Raises:
        ConfigError: The mask cannot.
    """
    mixes = any(True for _ in backbone.adapter.parameters())
    if mixes and not mask.hides_whole_patches:
        raise ConfigError(
            f"objective.mask.name {mask.name} leaves channels of a masked patch visible, and an adapter that "
            "learns could write the target of one channel into another; choose random, time_block or "
            "rectangular_visible, or adapter.name: none"
        )
    return mixes
