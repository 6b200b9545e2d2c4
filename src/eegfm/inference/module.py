"""One module from recorded microvolts to features: re-reference, adapter and encoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast, get_args

import torch
from torch import Tensor, nn

from eegfm.adapters.base import Adapter
from eegfm.adapters.load import build_adapter
from eegfm.batch import SignalSpec, StoredBatch, WindowBatch
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.encoders.base import Encoder
from eegfm.encoders.load import build_encoder
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.encoder_code import refuse_other_code
from eegfm.nn.rereference import NewReference, Rereference
from eegfm.recording import Montage


class Inference(nn.Module):
    """Encode windows of one montage as they were recorded. Its state dict is adapter and encoder, nothing else.

    Args:
        rereference: Re-references.
        adapter: What brings the channels to those of the encoder.
        encoder: The encoder.
        montage: Name of the montage.
    """

    def __init__(self, rereference: Rereference, adapter: Adapter, encoder: Encoder, montage: str) -> None:
        super().__init__()
        self.rereference, self.adapter, self.encoder = rereference, adapter, encoder
        self.montage = montage

    def forward(self, recorded_uv: Tensor) -> tuple[Tensor, Tensor]:
        """Encode windows.

        Args:
            recorded_uv: (B, C, T) float32 microvolts, channels in the order of the montage, as recorded.

        Raises:
            ConfigError: The windows are of another shape or kind of number.

        Returns:
            Features (B, R, X), averaged over time, one row per channel where the encoder tells channels apart, zero in
            rows that are only padding; and what the encoder gave before that: (B, N, D) tokens, (B, P, D) patches or
            (B, 1, D).
        """
        n_channels = self.rereference.n_recorded(self.montage)
        if recorded_uv.ndim != 3 or recorded_uv.shape[1] != n_channels or recorded_uv.dtype != torch.float32:
            raise ConfigError(
                f"windows are {tuple(recorded_uv.shape)} of {recorded_uv.dtype}; montage {self.montage} takes (B, "
                f"{n_channels}, T) of torch.float32, in microvolts as recorded"
            )
        batch = self._batch(recorded_uv)
        encoded, features = self.encoder.encode_with_features(batch)
        return features.values.masked_fill(~features.mask.unsqueeze(-1), 0.0), encoded

    def _batch(self, recorded_uv: Tensor) -> WindowBatch:
        stored: StoredBatch = {
            "samples": recorded_uv.transpose(1, 2),
            "scales_uv": recorded_uv.new_ones(1, 1),
            "recording": torch.zeros(recorded_uv.shape[0], dtype=torch.int64, device=recorded_uv.device),
            "corpus": "",
            "montage": self.montage,
        }
        batch: WindowBatch = self.adapter(self.rereference(stored))
        return batch


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
    refuse_other_code(checkpoint.header, accept=accept_other_code, key="accept_other_code")
    spec = SignalSpec.from_dict(checkpoint.header.signal_spec)
    name = _chosen(spec, montage)
    spec = replace(spec, montages={name: spec.montages[name]}, n_samples={name: spec.n_samples[name]})
    rereference = rereference_for(checkpoint.header, spec.montages)
    adapter = build_adapter(checkpoint, rereference.rereferenced_spec(spec))
    return Inference(rereference, adapter, build_encoder(checkpoint), name).eval()


def rereference_for(header: CheckpointHeader, montages: Mapping[str, Montage]) -> Rereference:
    """What references windows as an encoder expects them.

    Raises:
        CheckpointError: The reference is none that this version knows.
    """
    known = get_args(NewReference)
    if header.reference not in known:
        raise CheckpointError(f"the encoder wants reference {header.reference!r}; known are {', '.join(known)}")
    return Rereference(montages, cast(NewReference, header.reference), header.bad_channels)


def _chosen(spec: SignalSpec, montage: str | None) -> str:
    names = sorted(spec.montages)
    if montage is None and len(names) == 1:
        return names[0]
    if montage in names:
        return montage
    found = f"{montage!r} is none of the checkpoint's montages" if montage else "the checkpoint has several montages"
    raise ConfigError(
        f"export.montage: {found}, {', '.join(names)}; choose one, such as --params=export.montage={names[-1]}"
    )
