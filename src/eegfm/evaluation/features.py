"""Compute features of windows. Each batch is gathered once and goes through every feature extractor."""

import logging
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.batch import StoredBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.layer_features import layer_features, refuse_without_layers
from eegfm.errors import CheckpointError, SplitError
from eegfm.evaluation.config import Layers, Pooling
from eegfm.evaluation.linear import Standardizer
from eegfm.inference.backbone import Backbone
from eegfm.progress import Ticker
from eegfm.store.reader import SignalStore

logger = logging.getLogger(__name__)

Extractor = Callable[[StoredBatch], tuple[Tensor, Tensor]]
"""Function from a stored batch to (B, R, X), X features of each row (a channel, or the whole window), and (B, R), True
for rows with signal."""


def encoder_features(backbone: Backbone, layers: Layers = "last") -> Extractor:
    """Extract the encoder's features of windows, averaged over time: (B, R, X).

    Where a layer is to be chosen, all L layers stand side by side in each row, (B, R, L * X); see ``by_layer``.

    Args:
        backbone: The encoder and what stands before it, in evaluation mode.
        layers: The layers that give features.

    Raises:
        ConfigError: The encoder has no layers to look at one by one, see ``layer_features``.
    """
    if layers != "last":
        refuse_without_layers(backbone.encoder)

    def extract(batch: StoredBatch) -> tuple[Tensor, Tensor]:
        if layers == "last":
            features = backbone(batch).features
            return features.values.float(), features.mask
        found = layer_features(backbone.encoder, backbone.prepare(batch))
        values = torch.stack([features.values.float() for features in found], dim=2)
        return values.mean(dim=2) if layers == "mean" else values.flatten(2), found[-1].mask

    return extract


def by_layer(features: NDArray[np.float32], encoder: Encoder) -> NDArray[np.float32]:
    """(W, L, F) features of each layer from (W, R * L * X), as they are pooled over channels.

    Args:
        features: Features of rows, those of all layers side by side in each; see ``encoder_features``.
        encoder: The encoder; it has L layers of width X.
    """
    n_windows, n_layers = len(features), len(encoder.depth_layers())
    by_row = features.reshape(n_windows, -1, n_layers, encoder.d_model)
    return by_row.swapaxes(1, 2).reshape(n_windows, n_layers, -1)


def extract_features(
    store: SignalStore,
    windows: pd.DataFrame,
    extractors: Mapping[str, Extractor],
    *,
    pooling: Pooling,
    batch_size: int,
    device: torch.device,
) -> dict[str, NDArray[np.float32]]:
    """Compute all features of all windows, in the order of the table.

    Args:
        store: The corpus's signals.
        windows: Rows of one cut of one corpus.
        extractors: Feature extractors by name.
        pooling: Pooling over channels.
        batch_size: Windows per pass.
        device: Device of the batches.

    Returns:
        (W, F) float32 by name; NaN for unknown features of a window, see ``pool_channels``.

    Raises:
        SplitError: The windows have several montages and ``pooling`` keeps channels.
        CheckpointError: A feature is not finite.
    """
    refuse_montages(windows, pooling)
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in extractors}
    broken: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in extractors}
    places: list[NDArray[np.int64]] = []
    ticker = Ticker()
    with torch.inference_mode():
        for place, batch in window_batches(store, windows, batch_size=batch_size, device=device):
            places.append(place)
            for name, extract in extractors.items():
                found, mask = extract(batch)
                broken[name].append((~found.isfinite().all(dim=2) & mask).any(dim=1).cpu().numpy())
                pooled = pool_channels(found.cpu(), mask.cpu(), pooling)
                parts[name].append(pooled.numpy().astype(np.float32))
            if ticker.is_due():
                logger.info("Probe: features of %d of %d windows", sum(map(len, places)), len(windows))
    order = np.argsort(np.concatenate(places))
    for name, blocks in broken.items():
        _refuse_not_finite(name, np.concatenate(blocks)[order], windows)
    return {name: np.concatenate(blocks)[order] for name, blocks in parts.items()}


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


def window_batches(
    store: SignalStore, windows: pd.DataFrame, *, batch_size: int, device: torch.device
) -> Iterator[tuple[NDArray[np.int64], StoredBatch]]:
    """Gather windows montage by montage: their positions in the table, and the batch on the device."""
    windows = windows.reset_index(drop=True)
    for _, group in windows.groupby(["montage", "corpus", "n_samples"]):
        montage, corpus = str(group["montage"].iloc[0]), str(group["corpus"].iloc[0])
        n_samples = int(group["n_samples"].iloc[0])
        rows, scale_rows = store.locate(
            montage, group["recording_id"], group["start"].to_numpy(dtype=np.int64), n_samples
        )
        scales_uv, is_bad = store.scales(montage), store.is_bad(montage)
        places = group.index.to_numpy(dtype=np.int64)
        for first in range(0, len(group), batch_size):
            part = slice(first, first + batch_size)
            stored: StoredBatch = {
                "samples": torch.from_numpy(store.gather(montage, rows[part], n_samples)).to(device),
                "scales_uv": torch.from_numpy(scales_uv[scale_rows[part]]).to(device),
                "recording": torch.from_numpy(scale_rows[part]).to(device),
                "corpus": corpus,
                "montage": montage,
            }
            if is_bad[scale_rows[part]].any():
                stored["is_bad"] = is_bad[scale_rows[part]]
            yield places[part], stored


def pool_channels(features: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(B, F) from (B, C, X): channels side by side, or the mean over the channels with signal.

    Side by side, channels without signal (padding, bad channels) are NaN. No number is neutral, zero least of all for a
    logarithm. ``Standardizer`` replaces NaN by the mean of the training windows.
    """
    if pooling == "channels":
        return features.masked_fill(~mask.unsqueeze(-1), float("nan")).flatten(1)
    real = features.masked_fill(~mask.unsqueeze(-1), 0.0)
    return real.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


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


def _refuse_not_finite(name: str, is_broken: NDArray[np.bool_], windows: pd.DataFrame) -> None:
    broken = np.flatnonzero(is_broken)
    if len(broken):
        first = windows["recording_id"].iloc[broken[0]]
        raise CheckpointError(
            f"{name}: features of {len(broken)} of {len(is_broken)} windows are not finite (first: recording "
            f"{first}); the weights or the stored signals are damaged"
        )
