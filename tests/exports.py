"""Checkpoints of untrained encoders for export, alone and with heads."""

from typing import Any

import torch

from checkpoints import header
from eegfm.adapters.config import NoAdapterConfig
from eegfm.adapters.load import PREFIX as ADAPTER_PREFIX
from eegfm.adapters.load import new_adapter
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.config import Buildable
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.heads.config import HeadConfig
from eegfm.inference.backbone import load_backbone
from eegfm.nn.rereference import Rereference
from eegfm.nn.weights import build_seeded
from eegfm.objectives.supervised.config import SupervisedConfig, Target
from eegfm.objectives.supervised.model import Supervised
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.targets import TargetSpec
from eegfm.training.tensors import checkpoint_tensors


def checkpoint_of(
    config: EncoderConfig, adapter_config: Buildable | None = None, *, window_s: float = 4, rate_hz: float = 200.0,
    montages: tuple[str, ...] = ("1020_19",), **changes: Any,
) -> Checkpoint:  # fmt: skip
    """A checkpoint with fresh weights; keywords replace fields of its header."""
    adapter_config = adapter_config or NoAdapterConfig()
    found = {m.name: m for m in (canonical_montage(name) for name in montages)}
    spec = SignalSpec(rate_hz, found, dict.fromkeys(found, round(window_s * rate_hz)))
    prepared = Rereference(spec.montages).rereferenced_spec(spec)
    adapter = new_adapter(adapter_config, prepared, 0)
    encoder_spec = adapter.adapted_spec(prepared)
    encoder = new_encoder(config, encoder_spec, 0)
    state = encoder.state_dict(prefix=PREFIX) | adapter.state_dict(prefix=ADAPTER_PREFIX)
    facts = {
        "encoder": config.model_dump(mode="json"),
        "adapter": adapter_config.model_dump(mode="json"),
        "signal_spec": spec.to_dict(),
        "encoder_spec": encoder_spec.to_dict(),
        "normalization": config.default_normalization.model_dump(mode="json"),
    }
    return Checkpoint({name: value.numpy() for name, value in state.items()}, header(**facts | changes))


def with_head(checkpoint: Checkpoint, target: TargetSpec, head: HeadConfig, **facts: Any) -> Checkpoint:
    """The same encoder with a random head, as a finetuning stores it; keywords are of ``SupervisedConfig``."""
    config = SupervisedConfig(target=Target.of(target), head=head, **facts)
    objective = build_seeded(config, checkpoint.header.seed, load_backbone(checkpoint))
    assert isinstance(objective, Supervised)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in objective.own_state().values():
            value.copy_(0.5 * torch.randn(value.shape, generator=generator))
        objective.token_sd.copy_(1 + torch.rand(objective.token_sd.shape, generator=generator))
    described = checkpoint.header.model_copy(
        update={"phase": "finetune.hbn.eyes", "objective": config.model_dump(mode="json")}
    )
    return Checkpoint(checkpoint_tensors(objective), described)
