"""Apply padding to signals and attention masks to tokens, for tests of encoders."""

from dataclasses import replace

from torch import Tensor

from eegfm.batch import WindowBatch, padding_mask
from eegfm.encoders.tokens import Tokens


def real_signal(batch: WindowBatch) -> Tensor:
    """(B, C, T) signal, zero in channels that are only padding: for encoders that mix channels early."""
    mask = padding_mask(batch)
    return batch["signal"] if mask is None else batch["signal"].masked_fill(~mask.unsqueeze(-1), 0.0)


def with_key_mask(tokens: Tokens, mask: Tensor | None) -> Tokens:
    """Tokens that mask those where ``mask`` (B, N) is False, besides what they mask already."""
    if mask is None:
        return tokens
    return replace(tokens, key_mask=mask if tokens.key_mask is None else tokens.key_mask & mask)
