"""Checkpoints of untrained encoders for export."""

from typing import Any

from checkpoints import header
from eegfm.adapters.config import NoAdapterConfig
from eegfm.adapters.load import PREFIX as ADAPTER_PREFIX
from eegfm.adapters.load import new_adapter
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint
from eegfm.config import Buildable
from eegfm.encoders.load import PREFIX, new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.nn.rereference import Rereference
from eegfm.signal.montages.canonical import canonical_montage


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
