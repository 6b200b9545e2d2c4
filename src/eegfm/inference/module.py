"""One module from filtered microvolts to features, as other programs use it."""

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec, StoredBatch
from eegfm.checkpoint import Checkpoint
from eegfm.encoders.base import Encoded
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone, load_backbone


class Inference(nn.Module):
    """Encode windows of one montage. They are filtered and resampled as in training, and not re-referenced yet.

    Args:
        backbone: Re-references, adapts and encodes.
        montage: Name of the montage.
    """

    outputs: ClassVar[tuple[str, ...]] = ("features", "encoded")
    """Names of what ``forward`` gives."""

    def __init__(self, backbone: Backbone, montage: str) -> None:
        super().__init__()
        self.backbone = backbone
        self.montage = montage

    @property
    def said(self) -> str:
        """Say what it is, for messages."""
        return f"encoder {self.backbone.encoder.name}"

    def forward(self, recorded_uv: Tensor) -> tuple[Tensor, ...]:
        """Encode windows.

        Args:
            recorded_uv: (B, C, T) float32 microvolts, channels in the order of the montage, at the rate and with the
                filters of the training (``rate_hz`` and ``filters`` of the checkpoint's header), against the reference
                of the recording.

        Raises:
            ConfigError: The windows are of another shape or kind of number.

        Returns:
            Features (B, R, X), averaged over time, one row per channel where the encoder tells channels apart, zero in
            rows that are only padding; and what the encoder gave before that: (B, N, D) tokens, (B, P, D) patches or
            (B, 1, D).
        """
        return self.shown(self.encoded(recorded_uv))

    def encoded(self, recorded_uv: Tensor) -> Encoded:
        """Encode windows, see ``forward``."""
        n_channels = self.backbone.rereference.n_recorded(self.montage)
        if recorded_uv.ndim != 3 or recorded_uv.shape[1] != n_channels or recorded_uv.dtype != torch.float32:
            raise ConfigError(
                f"windows are {tuple(recorded_uv.shape)} of {recorded_uv.dtype}; montage {self.montage} takes (B, "
                f"{n_channels}, T) of torch.float32, in microvolts, filtered and resampled as in training"
            )
        encoded: Encoded = self.backbone(self._as_stored(recorded_uv))
        return encoded

    @staticmethod
    def shown(encoded: Encoded) -> tuple[Tensor, Tensor]:
        """Return features, zero in rows that are only padding, and vectors; see ``forward``."""
        features = encoded.features
        return features.values.masked_fill(~features.mask.unsqueeze(-1), 0.0), encoded.vectors

    def weights(self) -> dict[str, Tensor]:
        """Return all weights by their names in a checkpoint."""
        return dict(self.backbone.state_dict())

    def _as_stored(self, recorded_uv: Tensor) -> StoredBatch:
        return {
            "samples": recorded_uv.transpose(1, 2),
            "scales_uv": recorded_uv.new_ones(1, 1),
            "recording": torch.zeros(recorded_uv.shape[0], dtype=torch.int64, device=recorded_uv.device),
            "corpus": "",
            "montage": self.montage,
        }


def build_inference(
    checkpoint: Checkpoint, montage: str | None = None, *, accept_other_code: bool = False
) -> Inference:
    """Rebuild all that stands between a recording and features, in evaluation mode, on the CPU.

    Args:
        checkpoint: Weights and header.
        montage: Name of one of its montages; needed where there are several.
        accept_other_code: Whether weights that other code made are taken, with a warning.

    Raises:
        ConfigError: There is no such montage, or none is named and there are several.
        CheckpointError: The checkpoint does not fit this version.
    """
    spec = SignalSpec.from_dict(checkpoint.header.signal_spec)
    name = chosen_montage(spec, montage)
    spec = replace(spec, montages={name: spec.montages[name]}, n_samples={name: spec.n_samples[name]})
    return Inference(load_backbone(checkpoint, spec, accept_other_code=accept_other_code), name).eval()


def chosen_montage(spec: SignalSpec, montage: str | None) -> str:
    """Return the named montage, or the only one.

    Raises:
        ConfigError: There is no such montage, or none is named and there are several.
    """
    names = sorted(spec.montages)
    if montage is None and len(names) == 1:
        return names[0]
    if montage in names:
        return montage
    found = f"{montage!r} is none of the checkpoint's montages" if montage else "the checkpoint has several montages"
    raise ConfigError(
        f"export.montage: {found}, {', '.join(names)}; choose one, such as --params=export.montage={names[-1]}"
    )
