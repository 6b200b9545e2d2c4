"""Spread of windows: one pass over their samples, the same numbers on every machine."""

import logging
import time

import numpy as np
from numpy.typing import NDArray

from eegfm.store.reader import SignalStore
from eegfm.training.plans.pairs.stratum import Stratum
from eegfm.training.plans.permutation import Ints

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
_BATCH_BYTES = 1 << 20
_AHEAD = 32


def too_wide(stratum: Stratum, store: SignalStore, max_spread: float) -> NDArray[np.bool_]:
    """(W,) windows whose spread exceeds the median of their recording so many times.

    Raises:
        StoreError: Samples differ from their checksums.
    """
    start_s = time.monotonic()
    spread = spreads(stratum, store)
    wide: NDArray[np.bool_] = spread > max_spread * _medians(spread, stratum.recording)[stratum.recording]
    n_bytes = len(stratum) * stratum.n_samples * store.montages[stratum.index.montage].n_channels * 2
    logger.info(
        "%s: %d of %d windows have more than %g times the spread of their recording and are left out "
        "(%.3g GB read in %.1f s)",
        stratum.name, wide.sum(), len(wide), max_spread, n_bytes / 1e9, time.monotonic() - start_s,
    )  # fmt: skip
    return wide


def spreads(stratum: Stratum, store: SignalStore) -> Floats:
    """(W,) largest standard deviation of a good channel of each window, in microvolts, against the stored reference.

    Sums of whole numbers below 2**53 are exact in whatever order they are added up, so that all processes of a
    training leave out the same windows.
    """
    index, montage, n_samples = stratum.index, stratum.index.montage, stratum.n_samples
    rows, scale_rows = index.locate(stratum.position)
    order = np.argsort(rows, kind="stable")
    n_channels = store.montages[montage].n_channels
    n_batch = max(_BATCH_BYTES // (2 * n_samples * n_channels), 1)
    scales, is_bad = store.scales(montage), store.is_bad(montage)
    found = np.empty(len(rows))
    for first in range(0, len(order), n_batch):
        if first % (_AHEAD * n_batch) == 0:
            store.read_ahead(montage, rows[order[first : first + 2 * _AHEAD * n_batch]], n_samples)
        own = order[first : first + n_batch]
        samples = store.gather(montage, rows[own], n_samples).astype(np.float64)
        sums, squares = samples.sum(axis=1), np.einsum("btc,btc->bc", samples, samples)
        variances = np.maximum(n_samples * squares - sums * sums, 0) / n_samples**2
        in_uv = np.sqrt(variances) * scales[scale_rows[own]]
        found[own] = np.where(is_bad[scale_rows[own]], 0, in_uv).max(axis=1)
    return found


def _medians(values: Floats, group: Ints) -> Floats:
    """(G,) median of the values of each group, 0 for one without any."""
    ordered = values[np.lexsort((values, group))]
    n = np.bincount(group)
    first, is_empty = np.cumsum(n) - n, n == 0
    low, high = (np.where(is_empty, 0, first + middle) for middle in ((n - 1) // 2, n // 2))
    medians: Floats = np.where(is_empty, 0, (ordered[low] + ordered[high]) / 2)
    return medians
