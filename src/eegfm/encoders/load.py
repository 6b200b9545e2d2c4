"""Encoders from checkpoints: strict, and the untrained twin that every probe is compared with."""

from pydantic import TypeAdapter, ValidationError

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import Buildable
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import EncoderConfig
from eegfm.errors import CheckpointError
from eegfm.weights import build_seeded, load_weights

PREFIX = "encoder."
_CONFIG: TypeAdapter[Buildable] = TypeAdapter(EncoderConfig)


def new_encoder(config: Buildable, spec: SignalSpec, seed: int) -> Encoder:
    """Build an encoder whose initial weights follow from the seed alone; global random state is left as is.

    Raises:
        ConfigError: The configuration does not fit the data.
    """
    encoder = build_seeded(config, seed, spec)
    assert isinstance(encoder, Encoder), f"{config.implementation} is no Encoder"
    return encoder


def build_encoder(checkpoint: Checkpoint) -> Encoder:
    """Rebuild the encoder of a checkpoint with its weights, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The configuration names nothing on the menu, or names or shapes of the weights differ
            from the encoder's; the message lists them.
    """
    encoder = untrained_like(checkpoint, checkpoint.header.seed)
    load_weights(encoder, checkpoint.tensors, PREFIX, "encoder")
    return encoder


def untrained_like(checkpoint: Checkpoint, seed: int) -> Encoder:
    """Build the same architecture with fresh weights from a seed, in evaluation mode: the control of a probe.

    Raises:
        CheckpointError: The configuration names nothing on the menu.
    """
    config, spec = _config_and_spec(checkpoint.header)
    return new_encoder(config, spec, seed).eval()


def _config_and_spec(header: CheckpointHeader) -> tuple[Buildable, SignalSpec]:
    try:
        config = _CONFIG.validate_python(header.encoder)
    except ValidationError as error:
        raise CheckpointError(f"the checkpoint's encoder configuration is not on the menu: {error}") from error
    return config, SignalSpec.from_dict(header.encoder_spec)
