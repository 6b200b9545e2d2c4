"""Controls of every learned feature: what can be told of a window without an encoder."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.evaluation.band_power import log_band_power, relative_band_power
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
    device: torch.device,
) -> dict[str, NDArray[np.float32]]:
    """Compute the features of controls, which need no encoder.

    ``majority`` has no features: a probe of it predicts the most frequent class, or the mean, of the training persons.
    ``log_covariance`` takes the channels as they are where there are at most 32 of one montage and ``pooling`` keeps
    channels; otherwise ten sites, whose covariances all montages have in common.

    Args:
        store: The corpus's signals.
        windows: Rows of one cut of one corpus.
        rereference: Module from stored integers to re-referenced microvolts, on ``device``.
        kinds: Names of controls.
        pooling: Pooling over channels.
        batch_size: Windows per pass.
        device: Device of the batches.

    Returns:
        (W, F) float32 by kind, NaN for unknown features of a window.

    Raises:
        SplitError: The windows have several montages and ``pooling`` keeps channels.
        ConfigError: The windows do not resolve the bands.
        StoreError: Stored samples differ from their checksums.
    """
    asked = list(dict.fromkeys(kinds))
    powers = {"band_power": log_band_power, "relative_band_power": relative_band_power}
    extractors: dict[str, Extractor] = {
        k: band_power_features(rereference, store.rate_hz, powers[k]) for k in asked if k in powers
    }
    by_montage: dict[str, Extractor] = {}
    if "log_covariance" in asked:
        widest = max(store.montages[str(name)].n_channels for name in windows["montage"].unique())
        by_site = pooling == "mean" or widest > MAX_CHANNELS
        by_montage["log_covariance"] = covariance_features(rereference, store.rate_hz, by_site=by_site)
    found = {"majority": np.empty((len(windows), 0), dtype=np.float32)}
    if extractors:
        found |= extract_features(store, windows, extractors, pooling=pooling, batch_size=batch_size, device=device)
    if by_montage:
        found |= _montage_by_montage(store, windows, by_montage, batch_size=batch_size, device=device)
    return {kind: found[kind] for kind in asked}


def band_power_features(
    rereference: Rereference,
    rate_hz: float,
    power: Callable[[NDArray[np.floating], float], NDArray[np.float32]] = log_band_power,
) -> Extractor:
    """Extract the power of each channel in five bands: (B, C, 5).

    Args:
        rereference: Module from stored integers to re-referenced microvolts.
        rate_hz: Rate of the signals.
        power: ``log_band_power`` or ``relative_band_power``.
    """

    def extract(batch: StoredBatch) -> tuple[Tensor, Tensor]:
        batch_uv = rereference(batch)
        powers = torch.from_numpy(power(batch_uv["signal"].cpu().numpy(), rate_hz))
        return powers, batch_uv["channel_mask"]

    return extract


def covariance_features(rereference: Rereference, rate_hz: float, *, by_site: bool) -> Extractor:
    """Extract the log-Euclidean covariance, each of its X numbers as a row: (B, X, 1).

    Args:
        rereference: Module from stored integers to re-referenced microvolts.
        rate_hz: Rate of the signals.
        by_site: Whether channels are pooled to ten sites first.
    """

    def extract(batch: StoredBatch) -> tuple[Tensor, Tensor]:
        batch_uv = rereference(batch)
        signal_uv, is_known = batch_uv["signal"].cpu().numpy(), batch_uv["channel_mask"].cpu().numpy()
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
    return np.asarray(places_m.cpu().numpy(), dtype=np.float64)


def _montage_by_montage(
    store: SignalStore,
    windows: pd.DataFrame,
    extractors: dict[str, Extractor],
    *,
    batch_size: int,
    device: torch.device,
) -> dict[str, NDArray[np.float32]]:
    """Compute features that all montages have side by side, in the order of the table."""
    names = windows["montage"].astype(str).to_numpy()
    parts, places = [], []
    for name in np.unique(names):
        mine = np.flatnonzero(names == name)
        of_montage = windows.iloc[mine]
        parts.append(
            extract_features(store, of_montage, extractors, pooling="channels", batch_size=batch_size, device=device)
        )
        places.append(mine)
    order = np.argsort(np.concatenate(places))
    return {kind: np.concatenate([part[kind] for part in parts])[order] for kind in extractors}
