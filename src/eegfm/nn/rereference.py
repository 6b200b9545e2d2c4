"""Turn stored integers into re-referenced microvolts, on the device."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eegfm.batch import SignalSpec, StoredBatch, WindowBatch
from eegfm.errors import ConfigError
from eegfm.nn.bad_channels import Repair, is_absent_cz
from eegfm.nn.device import sent
from eegfm.nn.montage_tensors import MontageTensors
from eegfm.recording import BadChannels, Montage
from eegfm.signal.montages.bipolar import tcp_montage

NewReference = Literal["average", "as_recorded", "tcp_bipolar"]
"""Reference of windows for the encoder."""


class Rereference(nn.Module):
    """Turn a ``StoredBatch`` into a ``WindowBatch``: scale to microvolts, re-reference, channels first.

    It holds no weights: matrices and positions follow from the montages and are not part of a checkpoint.

    Args:
        montages: By name, the montages that can occur.
        reference: ``average`` subtracts the mean over the scalp electrodes from every channel;
            ``as_recorded`` leaves the signals against what they were recorded against; ``tcp_bipolar`` derives
            those of the 22 bipolar channels of TUH that the electrodes allow.
        bad_channels: Treatment of the bad channels of a recording, see ``eegfm.nn.bad_channels.Repair``.

    Raises:
        ConfigError: A montage has no scalp electrode to average over, or no pair of electrodes to derive from.
    """

    def __init__(
        self,
        montages: Mapping[str, Montage],
        reference: NewReference = "average",
        bad_channels: BadChannels = "mask",
    ) -> None:
        super().__init__()
        self.reference, self.bad_channels = reference, bad_channels
        self._recorded_against = {name: montage.reference for name, montage in montages.items()}
        self._repairs: dict[str, Repair] = {}
        self._tensors = MontageTensors(montages)
        for name, montage in montages.items():
            matrix = reference_matrix(montage, reference, name)
            self._tensors.put(name, "matrix", matrix)
            is_average = reference == "average"
            self._repairs[name] = Repair(montage, matrix, bad_channels, is_average=is_average, name=name)
            self._tensors.put(name, "positions_m", torch.from_numpy(self.prepared(montage).positions()))
            if reference == "tcp_bipolar":
                second_positions_m = torch.from_numpy(tcp_montage(montage).second_positions_m)
                self._tensors.put(name, "second_positions_m", second_positions_m)

    def prepared(self, montage: Montage) -> Montage:
        """Return the channels that come out for windows of this montage: derivations, or the same."""
        return tcp_montage(montage).montage if self.reference == "tcp_bipolar" else montage

    def n_recorded(self, name: str) -> int:
        """Channels that windows of a montage are stored with."""
        return self._tensors.get(name, "matrix").shape[1]

    def rereferenced_spec(self, spec: SignalSpec) -> SignalSpec:
        """Specification of the data after re-referencing, for an adapter or an encoder. Montages keep their names."""
        return replace(spec, montages={name: self.prepared(montage) for name, montage in spec.montages.items()})

    def has_nothing_left(self, name: str, is_bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Find recordings of which bad channels leave nothing; ``forward`` refuses their windows.

        Args:
            name: Name of the montage.
            is_bad: (R, C) bad channels of the recordings.

        Returns:
            (R,) True where nothing is left.
        """
        return self._repairs[name].has_nothing_left(is_bad)

    def forward(self, batch: StoredBatch) -> WindowBatch:
        """Re-reference one batch.

        Args:
            batch: Windows as stored, (B, T, C) int16.

        Returns:
            Windows in microvolts, (B, C, T) float32; persons, targets and pairs travel along.

        Raises:
            ConfigError: The batch's montage is not among the montages, or bad channels leave nothing of a window.
        """
        name, samples = batch["montage"], batch["samples"]
        matrix, is_real = self._matrix(batch)
        # Autocast would round microvolts to 8 bits here; the encoder decides where low precision is safe.
        with torch.autocast(samples.device.type, enabled=False):
            recorded_uv = samples.float() * batch["scales_uv"].unsqueeze(1)
            signal_uv = matrix @ recorded_uv.transpose(1, 2)
        n_windows, n_channels, _ = signal_uv.shape
        if is_real is None:
            mask = all_real(n_windows, n_channels, signal_uv.device)
        else:
            mask = sent(torch.from_numpy(is_real), signal_uv.device)
        is_recorded = self.reference == "as_recorded"
        out: WindowBatch = {
            "signal": signal_uv,
            "channel_positions": self._tensors.get(name, "positions_m").expand(n_windows, -1, -1),
            "channel_mask": mask,
            "known_mask": is_real,
            "reference": self._recorded_against[name] if is_recorded else self.reference,
            "recording": batch["recording"],
            "corpus": batch["corpus"],
            "montage": name,
        }
        if self.reference == "tcp_bipolar":
            out["second_positions"] = self._tensors.get(name, "second_positions_m").expand(n_windows, -1, -1)
        if "person" in batch:
            out["person"] = batch["person"]
        if "targets" in batch:
            out["targets"] = batch["targets"]
        if "pairs" in batch:
            out["pairs"] = batch["pairs"]
        return out

    def _matrix(self, batch: StoredBatch) -> tuple[Tensor, NDArray[np.bool_] | None]:
        """Matrix from recorded to prepared channels, (K, C) or (B, K, C), and which are real; None where all are."""
        matrix = self._tensors.get(batch["montage"], "matrix")
        if "is_bad" not in batch:
            return matrix, None
        with torch.autocast(matrix.device.type, enabled=False):
            matrix, is_real = self._repairs[batch["montage"]](matrix, batch["is_bad"])
        return matrix, None if is_real.all() else is_real


def all_real(n_windows: int, n_channels: int, device: torch.device) -> Tensor:
    """(B, C) mask of windows without padding: one value, spread, so that ``padding_mask`` need not read it."""
    return torch.ones(1, 1, dtype=torch.bool, device=device).expand(n_windows, n_channels)


def reference_matrix(montage: Montage, reference: NewReference, name: str = "") -> Tensor:
    """(K, C) matrix that re-references a column of channel values; K = C unless derivations come out.

    The average includes the electrode that the recording was made against: its value there is zero. A file
    that holds it as a flat channel (HBN's Cz) gets it back as minus the mean; a file without it still
    counts it in the mean.

    Raises:
        ConfigError: No channel of the montage is a scalp electrode, or no two make a derivation.
    """
    if reference == "tcp_bipolar":
        derived = tcp_montage(montage)
        if not derived.montage.n_channels:
            raise ConfigError(
                f"montage {name or montage.name} has no pair of electrodes of the 22 TCP derivations; "
                "set reference: average, or leave the corpus out"
            )
        return torch.from_numpy(derived.matrix)
    identity = torch.eye(montage.n_channels, dtype=torch.float32)
    if reference == "as_recorded":
        return identity
    is_scalp = torch.tensor(montage.is_scalp, dtype=torch.float32)
    if not is_scalp.any():
        raise ConfigError(
            f"montage {name or montage.name} has no scalp electrode to average over; "
            "set reference: as_recorded or correct the layout of the corpus"
        )
    n_averaged = is_scalp.sum() + float(is_absent_cz(montage))
    return identity - is_scalp.unsqueeze(0) / n_averaged
