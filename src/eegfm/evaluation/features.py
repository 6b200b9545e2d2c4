"""Compute features of windows that need no encoder, and pool features over channels."""

import logging
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.batch import StoredBatch
from eegfm.errors import CheckpointError, SplitError
from eegfm.evaluation.config import Pooling
from eegfm.evaluation.linear import Standardizer
from eegfm.inference.table_loader import TableLoader
from eegfm.progress import Ticker
from eegfm.store.reader import SignalStore

logger = logging.getLogger(__name__)

Extractor = Callable[[StoredBatch], tuple[Tensor, Tensor]]
"""Function from a stored batch to (B, R, X), X features of each row (a channel, or the whole window), and (B, R), True
for rows with signal."""


def extract_features(
    store: SignalStore, windows: pd.DataFrame, extract: Extractor, *, name: str, pooling: Pooling, batch_size: int
) -> NDArray[np.float32]:
    """Compute features that need no encoder, of all windows, in the order of the table.

    Args:
        store: The corpus's signals.
        windows: Rows of one cut of one corpus.
        extract: From stored batches on the CPU to features.
        name: Name of the features, for messages.
        pooling: Pooling over channels.
        batch_size: Windows per pass.

    Returns:
        (W, F); NaN for unknown features of a window, see ``pool_channels``.

    Raises:
        SplitError: The windows have several montages and ``pooling`` keeps channels.
        CheckpointError: A feature is not finite.
    """
    refuse_montages(windows, pooling)
    parts, broken, places = [], [], []
    ticker = Ticker()
    with torch.inference_mode():
        for placed in TableLoader(store, windows, batch_size):
            values, mask = extract(placed.batch)
            places.append(placed.places)
            pooled, is_broken = checked_pool(values, mask, pooling)
            parts.append(pooled)
            broken.append(is_broken)
            if ticker.is_due():
                logger.info("Features of %d of %d windows: %s", sum(map(len, places)), len(windows), name)
    order = torch.cat(places).argsort()
    refuse_not_finite(name, torch.cat(broken)[order].numpy(), windows)
    return torch.cat(parts)[order].numpy()


def refuse_montages(windows: pd.DataFrame, pooling: Pooling) -> None:
    """Refuse windows whose features cannot be compared.

    Raises:
        SplitError: The windows have several montages and ``pooling`` keeps channels.
    """
    montages = sorted(set(windows["montage"]))
    if pooling == "channels" and len(montages) > 1:
        raise SplitError(
            f"windows of {len(montages)} montages ({', '.join(montages)}) have no common channels; "
            "set probe.pooling=mean or probe one montage"
        )


def pool_channels(features: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(B, F) from (B, C, X): channels side by side, or the mean over the channels with signal.

    Side by side, channels without signal (padding, bad channels) are NaN. No number is neutral, zero least of all for a
    logarithm. ``Standardizer`` replaces NaN by the mean of the training windows.
    """
    if pooling == "channels":
        return features.masked_fill(~mask.unsqueeze(-1), float("nan")).flatten(1)
    real = features.masked_fill(~mask.unsqueeze(-1), 0.0)
    return real.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def checked_pool(features: Tensor, mask: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    """Pool features over channels, and tell which windows have broken ones.

    Args:
        features: (B, C, X), see ``Extractor``.
        mask: (B, C) True for channels with signal.
        pooling: See ``pool_channels``.

    Returns:
        (B, F) float32, and (B,) True for windows with a number that is not finite in a channel with signal.
    """
    is_broken = (~features.isfinite().all(dim=2) & mask).any(dim=1)
    return pool_channels(features, mask, pooling).float(), is_broken


def zscore_per_person(features: NDArray[np.floating], persons: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standardise each person's features by that person's own windows; labels are not used.

    Args:
        features: (W, F), or (W, L, F) of several layers.
        persons: (W,) person numbers.
    """
    out = np.empty(features.shape, dtype=np.float64)
    for person in np.unique(persons):
        mine = persons == person
        out[mine] = Standardizer.fit(features[mine])(features[mine])
    return out


def refuse_not_finite(name: str, is_broken: NDArray[np.bool_], windows: pd.DataFrame) -> None:
    """Refuse features that are not finite.

    Args:
        name: Name of the features.
        is_broken: (W,) see ``checked_pool``.
        windows: The windows, in the same order.

    Raises:
        CheckpointError: There are some.
    """
    broken = np.flatnonzero(is_broken)
    if len(broken):
        first = windows["recording_id"].iloc[broken[0]]
        raise CheckpointError(
            f"{name}: features of {len(broken)} of {len(is_broken)} windows are not finite (first: recording "
            f"{first}); the weights or the stored signals are damaged"
        )
