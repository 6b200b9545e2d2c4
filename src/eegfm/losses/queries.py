"""Likeness of what learned queries look at.

Shapes: S attentions, Q queries, C keys.
"""

from torch import Tensor

from eegfm.nn.full_precision import full_precision


@full_precision
def query_likeness(attention: Tensor) -> Tensor:
    """Mean squared overlap of the attention of two queries: zero where no two look at one key.

    LUNA's query specialization term (arXiv 2510.22257): the mean, over pairs of queries, of the squares of the elements
    of A times its transpose beside its diagonal. With one query there is no pair, and it is zero.

    Args:
        attention: (S, Q, C) weights that each query gives to the keys.
    """
    n_queries = attention.shape[1]
    overlap = attention @ attention.transpose(1, 2)
    squares = overlap.square()
    beside = squares.sum(dim=(1, 2)) - squares.diagonal(dim1=1, dim2=2).sum(dim=1)
    return beside.mean() / max(n_queries * (n_queries - 1), 1)
