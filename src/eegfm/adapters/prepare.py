"""From the store's integers to re-referenced microvolts, on the device."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.errors import ConfigError
from eegfm.recording import Montage

PreparedReference = Literal["average", "as_recorded"]
"""What windows are referenced to when an encoder sees them."""


class Prepare(nn.Module):
    """Turn a ``StoredBatch`` into a ``WindowBatch``: scale to microvolts, re-reference, channels first.

    It holds no weights: matrices and positions follow from the montages and are not part of a checkpoint.

    Args:
        montages: By name, the montages that can occur.
        reference: ``average`` subtracts the mean over the scalp electrodes from every channel;
            ``as_recorded`` leaves the signals against what they were recorded against.
    """

    def __init__(self, montages: Mapping[str, Montage], reference: PreparedReference = "average") -> None:
        super().__init__()
        self.reference = reference
        self._slots = {name: k for k, name in enumerate(sorted(montages))}
        self._recorded_against = {name: montage.reference for name, montage in montages.items()}
        for name, slot in self._slots.items():
            montage = montages[name]
            positions_m = torch.from_numpy(montage.positions())
            self.register_buffer(f"matrix_{slot}", reference_matrix(montage, reference, name), persistent=False)
            self.register_buffer(f"positions_m_{slot}", positions_m, persistent=False)

    def forward(self, batch: StoredBatch) -> WindowBatch:
        """Prepare one batch.

        Args:
            batch: Windows as stored, (B, T, C) int16.

        Returns:
            Windows in microvolts, (B, C, T) float32; a label travels along.

        Raises:
            ConfigError: The batch's montage is not among the montages.
        """
        matrix, positions_m = self._of_montage(batch["montage"])
        samples = batch["samples"]
        # Autocast would round microvolts to 8 bits here; the encoder decides where low precision is safe.
        with torch.autocast(samples.device.type, enabled=False):
            recorded_uv = samples.float() * batch["scales_uv"].unsqueeze(1)
            signal_uv = matrix @ recorded_uv.transpose(1, 2)
        n_windows, n_channels, _ = signal_uv.shape
        recorded = self._recorded_against[batch["montage"]]
        out: WindowBatch = {
            "signal": signal_uv,
            "channel_positions": positions_m.expand(n_windows, n_channels, 3),
            "channel_mask": torch.ones(n_windows, n_channels, dtype=torch.bool, device=signal_uv.device),
            "reference": "average" if self.reference == "average" else recorded,
            "recording": batch["recording"],
            "corpus": batch["corpus"],
            "montage": batch["montage"],
        }
        if "label" in batch:
            out["label"] = batch["label"]
        return out

    def _of_montage(self, name: str) -> tuple[Tensor, Tensor]:
        if name not in self._slots:
            raise ConfigError(f"montage {name} is not prepared; prepared montages: {sorted(self._slots)}")
        slot = self._slots[name]
        return self.get_buffer(f"matrix_{slot}"), self.get_buffer(f"positions_m_{slot}")


def reference_matrix(montage: Montage, reference: PreparedReference, name: str = "") -> Tensor:
    """(C, C) matrix that re-references a column of channel values.

    The average includes the electrode that the recording was made against: its value there is zero. A file
    that holds it as a flat channel (HBN's Cz) gets it back as minus the mean; a file without it still
    counts it in the mean.

    Raises:
        ConfigError: No channel of the montage is a scalp electrode.
    """
    identity = torch.eye(montage.n_channels, dtype=torch.float32)
    if reference == "as_recorded":
        return identity
    is_scalp = torch.tensor(montage.is_scalp, dtype=torch.float32)
    if not is_scalp.any():
        raise ConfigError(
            f"montage {name or montage.name} has no scalp electrode to average over; "
            "set reference: as_recorded or correct the layout of the corpus"
        )
    is_absent_cz = montage.reference == "Cz" and "Cz" not in montage.channel_names
    n_averaged = is_scalp.sum() + float(is_absent_cz)
    return identity - is_scalp.unsqueeze(0) / n_averaged
