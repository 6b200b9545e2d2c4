"""Types between the two halves of an encoder: tokens, visible tokens and encoded tokens."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eegfm.nn.device import sent


@dataclass(frozen=True)
class Tokens:
    """One window's patches as vectors, row by row: token n is row n // P, patch n % P.

    A row is a channel, or a group of neighbouring channels where an encoder joins them. What a patch holds and where
    it lies are kept apart, so that an objective can mask the first and keep the second.

    Args:
        content: (B, N, D) what the signal is; (B, Nv, D) where only some tokens were embedded.
        position: (B, N, D), or (1, N, D) when the whole batch shares it: where the electrode sits.
        n_rows: Rows R.
        n_patches: Patches per row P; N = R * P.
        key_mask: (B, N) bool, False for a token that no other may see, such as those of channels that are only
            padding. None where all may be seen.
        embedded: (B, Nv) which tokens were embedded, ascending; None where all were.
    """

    content: Tensor
    position: Tensor
    n_rows: int
    n_patches: int
    key_mask: Tensor | None = None
    embedded: Tensor | None = None

    def with_content(self, content: Tensor) -> "Tokens":
        """Tokens at the same places with other content (B, N, D)."""
        return replace(self, content=content)

    def with_content_at(self, index: Tensor, content: Tensor) -> "Tokens":
        """Tokens of which some (B, M) have one content (D,) in the place of their own.

        It is scattered in, not blended: not even a value that is not finite gets past.
        """
        index = index.unsqueeze(-1).expand(-1, -1, self.content.shape[-1])
        return self.with_content(self.content.scatter(1, index, content.to(self.content.dtype).expand(index.shape)))

    def content_of(self, index: Tensor) -> Tensor:
        """(B, Nv, D) content of some tokens: of those that were embedded, where not all were."""
        if self.embedded is None:
            return take(self.content, index)
        assert self.embedded.shape == index.shape, "others were embedded"
        return self.content

    def everywhere(self) -> Tensor:
        """(B, N, D) content of all tokens, zero where a token was not embedded."""
        if self.embedded is None:
            return self.content
        B, _, D = self.content.shape
        zeros = self.content.new_zeros(B, self.n_rows * self.n_patches, D)
        return zeros.scatter(1, self.embedded.unsqueeze(-1).expand(-1, -1, D), self.content)


@dataclass(frozen=True)
class Visible:
    """Tokens that an encoder gets to see, equally many in each window.

    Args:
        index: (B, Nv) int64 numbers of tokens, ascending within each window.
        rows: (B, Rv) int64 rows, where the visible tokens are some rows times some patches; else None.
        patches: (B, Pv) int64 patches of that grid; else None.
    """

    index: Tensor
    rows: Tensor | None = None
    patches: Tensor | None = None

    @classmethod
    def grid(cls, rows: Tensor, patches: Tensor, n_patches: int) -> "Visible":
        """The tokens of some rows (B, Rv) and some patches (B, Pv), both ascending, of P patches per row.

        Encoders whose attention follows the grid (alternating, criss-cross) keep such a set dense.
        """
        index = (rows.unsqueeze(2) * n_patches + patches.unsqueeze(1)).flatten(1)
        return cls(index, rows, patches)

    def mask(self, n_tokens: int) -> Tensor:
        """(B, N) bool, True for the visible tokens."""
        mask = torch.zeros(len(self.index), n_tokens, dtype=torch.bool, device=self.index.device)
        return mask.scatter_(1, self.index, True)

    def sent(self, device: torch.device) -> "Visible":
        """Copy them to a device, without waiting for it."""
        rows, patches = (None if part is None else sent(part, device) for part in (self.rows, self.patches))
        return Visible(sent(self.index, device), rows, patches)


def take(values: Tensor, index: Tensor) -> Tensor:
    """(B, N, K) values at (B, M) indices: (B, M, K)."""
    return values.take_along_dim(index.unsqueeze(-1), dim=1)
