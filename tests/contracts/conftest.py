"""Montages and windows that every member of a kind must handle."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.recording import Montage

pytest.register_assert_rewrite(
    "contracts.depth_checks", "contracts.encoder_checks", "contracts.encoder_training", "contracts.masked_content"
)

LENGTHS_S = {19: 2, 21: 10, 64: 3, 129: 4}


def make_montage(n_channels: int) -> Montage:
    """Electrodes on a 9-cm half sphere."""
    rng = np.random.default_rng([n_channels, 9])
    points = rng.normal(size=(n_channels, 3))
    points[:, 2] = np.abs(points[:, 2])
    points *= 0.09 / np.linalg.norm(points, axis=1, keepdims=True)
    names = tuple(f"S{k}" for k in range(n_channels))
    return Montage(names, tuple((float(x), float(y), float(z)) for x, y, z in points), (True,) * n_channels, "average")


@pytest.fixture(scope="session")
def montages() -> dict[int, Montage]:
    return {n: make_montage(n) for n in LENGTHS_S}


@pytest.fixture(scope="session")
def spec(montages: dict[int, Montage]) -> SignalSpec:
    return SignalSpec(
        rate_hz=100.0,
        montages={m.name: m for m in montages.values()},
        n_samples={montages[n].name: 100 * s for n, s in LENGTHS_S.items()},
    )


@pytest.fixture(scope="session")
def make_batch(montages: dict[int, Montage]) -> Callable[..., WindowBatch]:
    def make(n_channels: int, duration_s: int, n_windows: int = 2, seed: int = 0) -> WindowBatch:
        montage = montages[n_channels]
        generator = torch.Generator().manual_seed(seed)
        signal = 20 * torch.randn(n_windows, n_channels, 100 * duration_s, generator=generator)
        return {
            "signal": signal,
            "channel_positions": torch.from_numpy(montage.positions()).expand(n_windows, -1, -1),
            "channel_mask": torch.ones(n_windows, n_channels, dtype=torch.bool),
            "reference": "average",
            "recording": torch.zeros(n_windows, dtype=torch.int64),
            "corpus": "tuh",
            "montage": montage.name,
        }

    return make
