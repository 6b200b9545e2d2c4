"""A small backbone, and windows in microvolts, one by one and in pairs, for tests of the objectives on vectors."""

from typing import Any

import torch
from torch import Tensor

from backbones import WindowBackbone
from eegfm.batch import Pairs, SignalSpec, WindowBatch
from eegfm.encoders.base import Encoded, Features
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.nn.weights import build_seeded
from eegfm.objectives.base import Objective
from eegfm.objectives.config import ObjectiveConfig
from eegfm.objectives.heads.heads import NO_LABELS, Labels
from eegfm.recording import Montage

N_CHANNELS, N_PATCHES, PATCH = 5, 4, 100
MONTAGE = Montage(
    tuple("abcde"), tuple((0.03 * k - 0.06, 0.05 * (k % 2), 0.06) for k in range(N_CHANNELS)), (True,) * 5, "average"
)
SPEC = SignalSpec(100.0, {"m": MONTAGE}, {"m": N_PATCHES * PATCH})
SMALL = PatchTransformerConfig(d_model=32, head_size=16, n_layers=2)


def backbone(encoder: EncoderConfig = SMALL) -> WindowBackbone:
    return WindowBackbone(new_encoder(encoder, SPEC, seed=0), SPEC)


def build(config: ObjectiveConfig, encoder: EncoderConfig = SMALL, labels: Labels = NO_LABELS) -> Any:
    objective: Objective = build_seeded(config, 0, backbone(encoder), labels=labels)
    return objective


def windows(n_windows: int = 4, seed: int = 0) -> WindowBatch:
    shape = (n_windows, N_CHANNELS, N_PATCHES * PATCH)
    return {
        "signal": 20 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)),
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(n_windows, -1, -1),
        "channel_mask": torch.ones(n_windows, N_CHANNELS, dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def paired(n_pairs: int = 4, seed: int = 0, **likeness: Any) -> WindowBatch:
    """Pairs of windows that share nothing: windows i and i + n_pairs are one; ``likeness`` is that of ``Pairs``."""
    batch = windows(2 * n_pairs, seed)
    pair = torch.arange(n_pairs).repeat(2)
    alike = {"group": pair, "place": torch.zeros_like(pair), "reach": 0, "pairing": "views", **likeness}
    n_samples = batch["signal"].shape[2]
    stored = {"samples": batch["signal"].transpose(1, 2), "first_row": n_samples * torch.arange(2 * n_pairs)}
    return {**batch, **stored, "pairs": Pairs(**alike)}


def given_features(objective: Any, values: Tensor) -> None:
    """Let an encoder of an objective give these features, (B, D), whatever the windows are."""

    def encode(*_: object, **__: object) -> Encoded:
        vectors = values.unsqueeze(1).expand(-1, N_CHANNELS, -1)  # the same for all channels: whatever pools them
        return Encoded(vectors, Features(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool)))

    objective.encoder.encode_with_features = encode
