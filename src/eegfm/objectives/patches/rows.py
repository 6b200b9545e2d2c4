"""Rows of tokens that can be masked, without rows of padding, which a montage never fills.

Shapes: B windows, R rows of tokens, Rr rows that the montage fills, P patches per row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from eegfm.batch import WindowBatch, channel_padding
from eegfm.encoders.tokens import Visible
from eegfm.inference.backbone import Backbone


@dataclass(frozen=True)
class Rows:
    """The rows of tokens that a montage fills, and those of them that each window really has. All on the CPU.

    Args:
        n: Number Rr of rows.
        index: (Rr,) their places among all rows, ascending; None where the montage fills all.
        present: (B, Rr) bool, False where the channels of a row are bad; None where none is.
    """

    n: int
    index: Tensor | None = None
    present: Tensor | None = None

    @classmethod
    def of(cls, backbone: Backbone, batch: WindowBatch, n_rows: int) -> "Rows":
        """Find the rows of a batch of one montage.

        Args:
            backbone: The encoder, and the adapter that pads.
            batch: Windows.
            n_rows: Number R of rows of tokens.
        """
        padding, encoder = channel_padding(batch), backbone.encoder
        if padding is None:
            return cls(n_rows)
        mask, index = encoder.grouped(torch.from_numpy(padding)).any(dim=-1), None
        filled = backbone.adapter.filled_channels(batch["montage"])
        if filled is not None:
            index = encoder.grouped(filled.unsqueeze(0))[0].any(dim=1).nonzero()[:, 0]
            mask = mask[:, index]
        return cls(mask.shape[1], index, None if bool(mask.all()) else mask.expand(len(batch["signal"]), -1))

    def present_tokens(self, n_patches: int) -> Tensor | None:
        """(B, Rr * P) tokens that each window really has; None where it has all."""
        return None if self.present is None else self.present.repeat_interleave(n_patches, dim=1)

    def among_all(self, tokens: Tensor, n_patches: int) -> Tensor:
        """Return numbers of tokens among those of these rows, as numbers among all tokens."""
        if self.index is None:
            return tokens
        return self.index[tokens // n_patches] * n_patches + tokens % n_patches

    def visible_among_all(self, visible: Visible, n_patches: int) -> Visible:
        """Visible tokens, numbered among those of these rows, as numbers among all tokens."""
        if self.index is None:
            return visible
        rows = None if visible.rows is None else self.index[visible.rows]
        return Visible(self.among_all(visible.index, n_patches), rows, visible.patches)
