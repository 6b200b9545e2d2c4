"""Adapter that puts each channel in the place of an electrode of one montage. Places without a channel hold zeros."""

import logging
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from eegfm.adapters.base import Adapter, refuse_derivations
from eegfm.adapters.config import ZeroPadConfig
from eegfm.batch import SignalSpec, WindowBatch, channel_padding
from eegfm.errors import ConfigError
from eegfm.nn.montage_tensors import MontageTensors
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.splines import directions, head_sphere

logger = logging.getLogger(__name__)

_TOO_FAR_M = 1e3  # dearer than any sum of distances: as many channels as can are placed


class Placement(NamedTuple):
    """Assignment of channels to electrodes.

    Args:
        channels: (N,) indices of the channels that are placed.
        electrodes: (N,) index of the electrode of each.
        unplaced: Names of the other channels.
    """

    channels: NDArray[np.int64]
    electrodes: NDArray[np.int64]
    unplaced: tuple[str, ...]


class ZeroPad(Adapter):
    """Move channels to the electrodes of a canonical montage and fill up with masked zeros.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: A channel finds no place and is not to be dropped, or none finds one.
    """

    def __init__(self, config: ZeroPadConfig, spec: SignalSpec) -> None:
        super().__init__()
        refuse_derivations(spec, config.name)
        self.config = config
        self.canonical = canonical_montage(config.montage)
        self.unplaced: dict[str, tuple[str, ...]] = {}  # by montage, what is dropped
        self._placements: dict[str, Placement] = {}
        self._known_masks: dict[str, NDArray[np.bool_] | None] = {}  # by montage, of recordings without bad channels
        self._tensors = MontageTensors(spec.montages)
        self.register_buffer("_positions_m", torch.from_numpy(self.canonical.positions()), persistent=False)
        for name, montage in spec.montages.items():
            placement = place_channels(montage, self.canonical, config.max_distance_m)
            self._check(name, montage, placement)
            self.unplaced[name], self._placements[name] = placement.unplaced, placement
            given = np.ones((1, montage.n_channels), dtype=np.bool_)
            self._known_masks[name] = self._known_mask(name, given)
            self._tensors.put(name, "channels", torch.from_numpy(placement.channels))
            self._tensors.put(name, "electrodes", torch.from_numpy(placement.electrodes))

    def forward(self, batch: WindowBatch) -> WindowBatch:
        """Place and pad; see the base class."""
        channels = self._tensors.get(batch["montage"], "channels")
        electrodes = self._tensors.get(batch["montage"], "electrodes")
        given, given_mask = batch["signal"][:, channels], batch["channel_mask"][:, channels]
        n_windows, _, n_samples = given.shape
        signal = given.new_zeros(n_windows, self.canonical.n_channels, n_samples)
        signal[:, electrodes] = given.masked_fill(~given_mask.unsqueeze(-1), 0.0)
        mask = given_mask.new_zeros(n_windows, self.canonical.n_channels)
        mask[:, electrodes] = given_mask
        positions_m = self.get_buffer("_positions_m").expand(n_windows, -1, -1)
        known, name = channel_padding(batch), batch["montage"]
        return {
            **batch,
            "signal": signal,
            "channel_positions": positions_m,
            "channel_mask": mask,
            "known_mask": self._known_masks[name] if known is None else self._known_mask(name, known),
        }

    def adapted(self, montage: Montage) -> Montage:
        """The canonical montage."""
        return self.canonical

    def filled_channels(self, montage: str) -> Tensor | None:
        """The electrodes that channels are placed at; see the base class."""
        filled = torch.zeros(self.canonical.n_channels, dtype=torch.bool)
        filled[self._placements[montage].electrodes] = True
        return filled

    def _known_mask(self, montage: str, given: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """(B or 1, K) electrodes that hold signal, of the (B or 1, C) channels that do; None where all do."""
        placement = self._placements[montage]
        known = np.zeros((len(given), self.canonical.n_channels), dtype=np.bool_)
        known[:, placement.electrodes] = given[:, placement.channels]
        return None if known.all() else known

    def _check(self, name: str, montage: Montage, placement: Placement) -> None:
        n, some = len(placement.unplaced), ", ".join(placement.unplaced[:5])
        found = (
            f"{n} of {montage.n_channels} channels of montage {name} have no free electrode of {self.config.montage} "
            f"within {1e3 * self.config.max_distance_m:g} mm ({some}{', …' if n > 5 else ''})"
        )
        if n == montage.n_channels or (n and self.config.unplaced == "refuse"):
            raise ConfigError(
                f"adapter zero_pad: {found}; choose another adapter.montage, raise adapter.max_distance_m, or leave "
                "them out with adapter.unplaced: drop"
            )
        if n:
            logger.warning("Adapter zero_pad: %s and are dropped", found)


def place_channels(montage: Montage, canonical: Montage, max_distance_m: float) -> Placement:
    """Assign channels to electrodes: first to that of the same name, then as near as possible in all.

    Distances run along the scalp, each montage on the sphere of its own template. A name counts only within the
    distance: E1 of one net is not E1 of another, and C3 of BioSemi's radial caps not C3 of 10-20.
    """
    cosines = directions(montage) @ directions(canonical).T
    distances_m = head_sphere(canonical).radius_m * np.arccos(cosines.clip(-1.0, 1.0))
    is_near = distances_m <= max_distance_m
    is_named = np.array(montage.channel_names)[:, None] == np.array(canonical.channel_names)
    costs = np.where(is_near, distances_m, _TOO_FAR_M)
    # Cheaper than any other place: the assignment gives each channel its own name's electrode.
    costs[is_named & is_near] = -_TOO_FAR_M
    channels, electrodes = linear_sum_assignment(costs)
    is_placed = is_near[channels, electrodes]
    channels, electrodes = channels[is_placed], electrodes[is_placed]
    unplaced = sorted(set(range(montage.n_channels)) - set(channels.tolist()))
    return Placement(channels, electrodes, tuple(montage.channel_names[k] for k in unplaced))
