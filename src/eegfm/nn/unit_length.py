"""Vectors of length 1, as cosine similarities compare them."""

from torch import Tensor

_LEAST_SQUARE = 1e-12


def unit_length(vectors: Tensor) -> Tensor:
    """(..., D) vectors scaled to length 1; a vector of zeros stays one, with a finite gradient."""
    return vectors * vectors.square().sum(dim=-1, keepdim=True).clamp_min(_LEAST_SQUARE).rsqrt()
