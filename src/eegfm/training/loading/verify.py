"""Compare stored samples with their checksums before training."""

import logging
import time
from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eegfm.batch import WindowIndex
from eegfm.store.reader import SignalStore
from eegfm.store.stores import Stores

_log = logging.getLogger(__name__)


@runtime_checkable
class Verifiable(Protocol):
    """A store with checksums; one in memory has none."""

    def verify(self, montage: str, scale_rows: NDArray[np.int64], /) -> int:
        """Compare recordings with their checksums, an error where they differ; how many bytes they take."""
        ...

    def unverified(self) -> SignalStore:
        """Return the same store, which then compares nothing."""
        ...


def readable(stores: Stores, verify: Literal["before_training", "first_read", "off"]) -> Stores:
    """Return the stores as training reads them: with ``off`` they compare nothing."""
    if verify != "off":
        return stores
    return {corpus: s.unverified() if isinstance(s, Verifiable) else s for corpus, s in stores.items()}


def verify_samples(groups: Iterable[WindowIndex], stores: Stores, *, rank: int = 0, world_size: int = 1) -> None:
    """Compare all recordings that windows are drawn from with their checksums. Ranks share the recordings.

    Args:
        groups: Windows.
        stores: Stores by corpus.
        rank: Number of this process.
        world_size: Number of processes.

    Raises:
        StoreError: Samples differ; all recordings of a montage with such samples are named.
    """
    start_s, n_bytes = time.monotonic(), 0
    _log.info("Comparing the stored samples with their checksums")
    used: dict[tuple[str, str], list[NDArray[np.int32]]] = {}
    for group in groups:
        used.setdefault((group.corpus, group.montage), []).append(group.recordings)
    for (corpus, montage), recordings in sorted(used.items(), key=lambda item: item[0]):
        store, own = stores[corpus], np.unique(np.concatenate(recordings)).astype(np.int64)[rank::world_size]
        if isinstance(store, Verifiable) and len(own):
            n_bytes += store.verify(montage, own)
    if n_bytes:
        _log.info("Samples match their checksums: %.3g GB in %.1f s", n_bytes / 1e9, time.monotonic() - start_s)
