"""Adapter that interpolates the channels of a canonical montage with spherical splines."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eegfm.adapters.base import Adapter, refuse_derivations
from eegfm.adapters.config import InterpolateConfig
from eegfm.batch import SignalSpec, WindowBatch, channel_padding
from eegfm.errors import ConfigError
from eegfm.nn.device import sent
from eegfm.nn.montage_tensors import MontageTensors
from eegfm.nn.rereference import all_real
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.splines import directions, spline_matrix

_N_CACHED = 2048  # sets of channels, some 30 kilobytes each


class Interpolate(Adapter):
    """Spherical splines through the scalp electrodes, read at the electrodes of a canonical montage.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: A montage has no scalp electrode.
    """

    def __init__(self, config: InterpolateConfig, spec: SignalSpec) -> None:
        super().__init__()
        refuse_derivations(spec, config.name)
        self.canonical = canonical_montage(config.montage)
        self.splines = Splines(spec, self.canonical, config.regularisation)
        self.register_buffer("_positions_m", torch.from_numpy(self.canonical.positions()), persistent=False)

    def forward(self, batch: WindowBatch) -> WindowBatch:
        """Interpolate; see the base class."""
        signal = self.splines(batch)
        n_windows, n_channels, _ = signal.shape
        positions_m = self.get_buffer("_positions_m").expand(n_windows, -1, -1)
        mask = all_real(n_windows, n_channels, signal.device)
        return {**batch, "signal": signal, "channel_positions": positions_m, "channel_mask": mask, "known_mask": None}

    def adapted(self, montage: Montage) -> Montage:
        """The canonical montage."""
        return self.canonical


class Splines(nn.Module):
    """Windows of any montage at the electrodes of another, by one matrix per montage.

    Args:
        spec: The montages.
        target: Montage of the target positions.
        regularisation: See ``spline_matrix``.

    Raises:
        ConfigError: A montage has no scalp electrode.
    """

    def __init__(self, spec: SignalSpec, target: Montage, regularisation: float) -> None:
        super().__init__()
        self._montages = dict(spec.montages)
        self._target = target
        self._regularisation = regularisation
        self._tensors = MontageTensors(spec.montages)
        for name, montage in spec.montages.items():
            self._tensors.put(name, "matrix", self._matrix(name, np.ones(montage.n_channels, dtype=bool)))

    def forward(self, batch: WindowBatch) -> Tensor:
        """(B, K, T) microvolts; channels that are only padding, or bad, take no part."""
        matrix, is_real = self._tensors.get(batch["montage"], "matrix"), channel_padding(batch)
        if is_real is not None:
            matrix = sent(self._matrices(batch["montage"], is_real), matrix.device).to(matrix.dtype)
        with torch.autocast(matrix.device.type, enabled=False):
            return matrix @ batch["signal"]

    def _matrices(self, name: str, is_real: NDArray[np.bool_]) -> Tensor:
        """(K, C), or (B, K, C) where windows differ in which channels (B, C) are real."""
        if (is_real == is_real[0]).all():
            return self._matrix(name, is_real[0])
        return torch.stack([self._matrix(name, window) for window in is_real])

    def _matrix(self, name: str, is_real: NDArray[np.bool_]) -> Tensor:
        montage = self._montages[name]
        is_used = is_real & np.array(montage.is_scalp, dtype=bool)
        if not is_used.any():
            raise ConfigError(
                f"montage {name} has no scalp electrode to interpolate from; set adapter.name: none, or leave it out"
            )
        return torch.from_numpy(_splines(montage, self._target, is_used.tobytes(), self._regularisation))


@lru_cache(maxsize=_N_CACHED)
def _splines(source: Montage, target: Montage, is_used: bytes, regularisation: float) -> NDArray[np.float32]:
    """(K, C) float32; columns of channels that are not used are zero."""
    used = np.frombuffer(is_used, dtype=np.bool_)
    matrix = np.zeros((target.n_channels, source.n_channels), dtype=np.float32)
    matrix[:, used] = spline_matrix(directions(source)[used], directions(target), regularisation)
    return matrix
