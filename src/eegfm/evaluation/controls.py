"""Controls of every learned feature: what can be told of a window without an encoder."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.evaluation.band_power import BANDS_HZ, log_band_power, relative_band_power
from eegfm.evaluation.config import ControlKind, Pooling
from eegfm.evaluation.features import Extractor, extract_features
from eegfm.evaluation.linear import Floats
from eegfm.evaluation.log_covariance import log_covariance, pooled_to_sites
from eegfm.store.reader import SignalStore

Rereference = Callable[[StoredBatch], WindowBatch]
"""Module from stored integers to re-referenced microvolts."""

MAX_CHANNELS = 32
"""Channels up to which their covariances stand side by side: 4 bands have 2,112 numbers. More are pooled to sites."""


def control_features(
    store: SignalStore,
    windows: pd.DataFrame,
    rereference: Rereference,
    kinds: Iterable[ControlKind],
    *,
    pooling: Pooling,
    batch_size: int,
) -> dict[str, NDArray[np.float32]]:
    """Compute the features of controls, which need no encoder, on the CPU.

    ``majority`` has no features: a probe of it predicts the most frequent class, or the mean, of the training persons.
    ``log_covariance`` takes the channels as they are where there are at most 32 of one montage and ``pooling`` keeps
    channels; otherwise ten sites, whose covariances all montages have in common.

    Args:
        store: The corpus's signals.
        windows: Rows of one cut of one corpus.
        rereference: Module from stored integers to re-referenced microvolts, on the CPU.
        kinds: Names of controls.
        pooling: Pooling over channels.
        batch_size: Windows per pass.

    Returns:
        (W, F) float32 by kind, NaN for unknown features of a window.

    Raises:
        SplitError: The windows have several montages and ``pooling`` keeps channels.
        ConfigError: The windows do not resolve the bands.
        StoreError: Stored samples differ from their checksums.
    """
    asked = list(dict.fromkeys(kinds))
    found = {"majority": np.empty((len(windows), 0), dtype=np.float32)}
    if {"band_power", "relative_band_power"} & set(asked):
        extract = power_features(rereference, store.rate_hz)
        both = extract_features(store, windows, extract, name="band power", pooling=pooling, batch_size=batch_size)
        found["band_power"], found["relative_band_power"] = split_powers(both)
    if "log_covariance" in asked:
        widest = max(store.montages[str(name)].n_channels for name in windows["montage"].unique())
        by_site = pooling == "mean" or widest > MAX_CHANNELS
        extract = covariance_features(rereference, store.rate_hz, by_site=by_site)
        found["log_covariance"] = _montage_by_montage(store, windows, extract, "log covariance", batch_size)
    return {kind: found[kind] for kind in asked}


def power_features(rereference: Rereference, rate_hz: float) -> Extractor:
    """Extract the log power of each channel in five bands, and its share: (B, C, 10). See ``split_powers``.

    Args:
        rereference: Module from stored integers to re-referenced microvolts.
        rate_hz: Rate of the signals.
    """

    def extract(batch: StoredBatch) -> tuple[Tensor, Tensor]:
        batch_uv = rereference(batch)
        absolute = log_band_power(batch_uv["signal"].numpy(), rate_hz)
        both = np.concatenate([absolute, relative_band_power(absolute)], axis=-1)
        return torch.from_numpy(both), batch_uv["channel_mask"]

    return extract


def split_powers(both: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(W, R * 5) power and relative power from (W, R * 10), as ``power_features`` are pooled to R rows."""
    by_row = both.reshape(len(both), -1, 2, len(BANDS_HZ))
    return by_row[:, :, 0].reshape(len(both), -1), by_row[:, :, 1].reshape(len(both), -1)


def covariance_features(rereference: Rereference, rate_hz: float, *, by_site: bool) -> Extractor:
    """Extract the log-Euclidean covariance, each of its X numbers as a row: (B, X, 1).

    Args:
        rereference: Module from stored integers to re-referenced microvolts.
        rate_hz: Rate of the signals.
        by_site: Whether channels are pooled to ten sites first.
    """

    def extract(batch: StoredBatch) -> tuple[Tensor, Tensor]:
        batch_uv = rereference(batch)
        signal_uv, is_known = batch_uv["signal"].numpy(), batch_uv["channel_mask"].numpy()
        if by_site:
            signal_uv, is_known = pooled_to_sites(signal_uv, _places(batch_uv), is_known)
        values, is_pair_known = log_covariance(signal_uv, rate_hz, is_known)
        return torch.from_numpy(values).unsqueeze(-1), torch.from_numpy(is_pair_known)

    return extract


def _places(batch_uv: WindowBatch) -> Floats:
    """(B, C, 3) places of the channels, for a derivation the middle of its electrodes."""
    places_m = batch_uv["channel_positions"]
    if "second_positions" in batch_uv:
        places_m = (places_m + batch_uv["second_positions"]) / 2
    return np.asarray(places_m.numpy(), dtype=np.float64)


def _montage_by_montage(
    store: SignalStore, windows: pd.DataFrame, extract: Extractor, name: str, batch_size: int
) -> NDArray[np.float32]:
    """Compute features that all montages have side by side, in the order of the table."""
    montages = windows["montage"].astype(str).to_numpy()
    parts, places = [], []
    for montage in np.unique(montages):
        mine = np.flatnonzero(montages == montage)
        drawn: dict[str, Any] = {"name": name, "pooling": "channels", "batch_size": batch_size}
        parts.append(extract_features(store, windows.iloc[mine], extract, **drawn))
        places.append(mine)
    return np.concatenate(parts)[np.argsort(np.concatenate(places))]
