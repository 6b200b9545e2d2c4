"""Interpolation: what the electrodes of one montage would have recorded."""

import numpy as np
import torch
from torch import Tensor, nn

from eegfm.adapters.base import Adapter, refuse_derivations
from eegfm.adapters.config import InterpolateConfig
from eegfm.adapters.montage_tensors import MontageTensors
from eegfm.adapters.prepare import all_real
from eegfm.batch import SignalSpec, WindowBatch, padding_mask
from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.signal.canonical import canonical_montage
from eegfm.signal.splines import directions, spline_matrix


class Interpolate(Adapter):
    """Spherical splines through the scalp electrodes, read at the electrodes of a canonical montage.

    Args:
        config: Choices.
        spec: What the data decides.

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
        return {**batch, "signal": signal, "channel_positions": positions_m, "channel_mask": mask}

    def adapted(self, montage: Montage) -> Montage:
        """The canonical montage."""
        return self.canonical


class Splines(nn.Module):
    """Windows of any montage at the electrodes of another, by one matrix per montage.

    Args:
        spec: The montages.
        target: Where potentials are asked for.
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
        """(B, K, T) microvolts; channels that are only padding take no part."""
        matrix, padding = self._tensors.get(batch["montage"], "matrix"), padding_mask(batch)
        if padding is not None:
            assert torch.equal(padding, padding[:1].expand_as(padding)), "one mask for all windows of a batch"
            matrix = self._matrix(batch["montage"], padding[0].cpu().numpy()).to(matrix)
        with torch.autocast(matrix.device.type, enabled=False):
            return matrix @ batch["signal"]

    def _matrix(self, name: str, is_real: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Tensor:
        montage = self._montages[name]
        is_used = is_real & np.array(montage.is_scalp, dtype=bool)
        if not is_used.any():
            raise ConfigError(
                f"montage {name} has no scalp electrode to interpolate from; set adapter.name: none, or leave it out"
            )
        matrix = np.zeros((self._target.n_channels, montage.n_channels))
        matrix[:, is_used] = spline_matrix(directions(montage)[is_used], directions(self._target), self._regularisation)
        return torch.from_numpy(matrix.astype(np.float32))
