"""Evenness in the use of the codes of a codebook. Shapes: K codes."""

import torch
from torch import Tensor


def perplexity(counts: Tensor) -> Tensor:
    """Return the perplexity of counts: 1 if all tokens have one code, K if all codes are as frequent, 0 of none.

    Args:
        counts: (K,) how often each code was given.
    """
    total = counts.sum()
    shares = counts / total.clamp_min(torch.finfo(counts.dtype).tiny)
    found: Tensor = torch.special.entr(shares).sum().exp() * (total > 0)
    return found


def used_ratio(counts: Tensor) -> Tensor:
    """Return the number of codes that were given at least once, over the most that could have been.

    That is K, or the number of tokens where there are fewer; 0 of none.

    Args:
        counts: (K,) how often each code was given.
    """
    return (counts > 0).sum() / counts.sum().clamp(1, len(counts))
