"""Neighbourhoods of channels on the scalp, for masks. All on the CPU.

Shapes: R rows of tokens: channels, or groups of channels that share a token.
"""

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.float64]
"""(R, 3) metres, head frame: where the rows are."""


def rows_of(positions_m: NDArray[np.float32], channels_per_token: int) -> Places:
    """(R, 3) mean positions of the channels (C, 3) that share a token."""
    G = channels_per_token
    return np.stack([positions_m[k : k + G].mean(axis=0) for k in range(0, len(positions_m), G)]).astype(np.float64)


def ranks_by_distance(places_m: Places) -> NDArray[np.int64]:
    """(R, R) for each row, the rank of every row by its angle on the scalp: 0 for the row itself.

    Angles are seen from the origin of the head frame: chords would make the other side of the head near. Of rows at
    one distance, the first comes first.
    """
    length = np.linalg.norm(places_m, axis=1, keepdims=True)
    unit = places_m / np.maximum(length, 1e-9)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1)).round(9)
    np.fill_diagonal(angles, -1.0)
    order = np.argsort(angles, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None, :], axis=1)
    return ranks


def groups_of_neighbours(places_m: Places, size: int) -> NDArray[np.int64]:
    """(R,) number of the group of each row: ``size`` neighbours each, and a smaller last one if they do not divide.

    The row that is farthest from the middle of those that are left, and its nearest ones, are the next group: what is
    left stays in one piece.
    """
    ranks, group = ranks_by_distance(places_m), np.full(len(places_m), -1)
    for number in range(-(-len(places_m) // size)):
        left = np.flatnonzero(group < 0)
        far = np.linalg.norm(places_m[left] - places_m[left].mean(axis=0), axis=1).round(9)
        first = left[int(far.argmax())]
        group[left[np.argsort(ranks[first, left], kind="stable")[:size]]] = number
    return group
