"""Load encoders from checkpoints strictly, and build the untrained twin for comparison."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import Buildable, first_problem
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import AnyEncoderConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import CheckpointError
from eegfm.nn.load_report import STRICT, LoadExceptions
from eegfm.nn.weights import build_seeded, load_weights
from eegfm.recording import Montage

PREFIX = "encoder."
_CONFIG: TypeAdapter[EncoderConfig] = TypeAdapter(AnyEncoderConfig)


def new_encoder(config: Buildable, spec: SignalSpec, seed: int, *, n_weight_bytes: int | None = None) -> Encoder:
    """Build an encoder whose initial weights follow from the seed alone; global random state is left as is.

    Raises:
        ConfigError: The configuration does not fit the data or the machine's memory.
        CheckpointError: See ``build_seeded``.
    """
    encoder = build_seeded(config, seed, spec, n_weight_bytes=n_weight_bytes)
    assert isinstance(encoder, Encoder), f"{config.implementation} is no Encoder"
    return encoder


def build_encoder(
    checkpoint: Checkpoint,
    montages: Mapping[str, Montage] | None = None,
    *,
    exceptions: LoadExceptions = STRICT,
) -> Encoder:
    """Rebuild the encoder of a checkpoint with its weights, in evaluation mode, on the CPU.

    Args:
        checkpoint: Weights and header.
        montages: Others than the checkpoint's own that it will meet, behind reference and adapter: encoders that look
            channels up by name need to know. One that is tied to a montage stays tied to its own.
        exceptions: Allowed differences of weights.

    Raises:
        ConfigError: The encoder does not know a channel of a montage.
        CheckpointError: The configuration names nothing on the menu or leaves out a choice, or names or shapes of the
            weights differ from the encoder's; the message lists them.
    """
    encoder = untrained_like(checkpoint, checkpoint.header.seed, montages)
    load_weights(encoder, checkpoint.tensors, PREFIX, "encoder", exceptions=exceptions.of(PREFIX))
    return encoder


def untrained_like(checkpoint: Checkpoint, seed: int, montages: Mapping[str, Montage] | None = None) -> Encoder:
    """Build the same architecture with fresh weights from a seed, in evaluation mode: the control of a probe.

    Raises:
        ConfigError: See ``build_encoder``.
        CheckpointError: The configuration names nothing on the menu, or leaves out a choice.
    """
    config, spec = _config_and_spec(checkpoint.header)
    if montages and not config.traits.one_montage:
        # How long their windows are is checked when they come.
        lengths = dict.fromkeys(montages, min(spec.n_samples.values()))
        spec = SignalSpec(spec.rate_hz, {**spec.montages, **montages}, {**spec.n_samples, **lengths})
    return new_encoder(config, spec, seed, n_weight_bytes=checkpoint.n_bytes).eval()


def _config_and_spec(header: CheckpointHeader) -> tuple[EncoderConfig, SignalSpec]:
    try:
        config = _CONFIG.validate_python(header.encoder)
    except ValidationError as error:
        raise CheckpointError(
            f"the checkpoint's encoder configuration is not on the menu: {first_problem(error)}"
        ) from error
    unsaid = sorted(config.patchwise.keys() - header.encoder.keys())
    if unsaid:
        raise CheckpointError(
            f"the checkpoint's encoder configuration does not say {', '.join(unsaid)}: an earlier eegfm wrote it, for "
            f"which encoder {config.name} normalized in another way; train or import it again"
        )
    return config, SignalSpec.from_dict(header.encoder_spec)
