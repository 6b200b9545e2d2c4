"""Micro-batches of a limited number of windows, spread evenly over all of a corpus."""

from collections.abc import Mapping, Sequence

import numpy as np

from eegfm.batch import WindowIndex
from eegfm.training.plans.plan import Draw, Groups


def spread_draws(groups: Groups, batch_counts: Mapping[str, int], n_windows: int) -> dict[str, list[Draw]]:
    """Return the micro-batches of at most ``n_windows`` windows of each corpus, spread evenly over them.

    Args:
        groups: Windows by corpus.
        batch_counts: Windows per micro-batch, by corpus.
        n_windows: Largest number of windows per corpus.
    """
    return {
        corpus: _consecutive(subsample_evenly(groups[corpus], n_windows), batch_counts[corpus]) for corpus in groups
    }


def subsample_evenly(groups: Sequence[WindowIndex], n_windows: int) -> list[Draw]:
    """At most ``n_windows`` of all groups together, spread evenly over them in their order."""
    sizes = [len(group) for group in groups]
    n_total = sum(sizes)
    chosen = np.linspace(0, n_total - 1, min(n_windows, n_total)).round().astype(np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    parts = [chosen[(chosen >= a) & (chosen < b)] - a for a, b in zip(starts, ends, strict=True)]
    return [Draw(group, part) for group, part in zip(groups, parts, strict=True) if len(part)]


def _consecutive(draws: Sequence[Draw], count: int) -> list[Draw]:
    """Cut draws into micro-batches of at most ``count`` windows."""
    return [
        Draw(draw.group, draw.positions[k : k + count]) for draw in draws for k in range(0, len(draw.positions), count)
    ]
