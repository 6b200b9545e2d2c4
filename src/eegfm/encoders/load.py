"""Encoders from checkpoints: strict, and the untrained twin that every probe is compared with."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import Buildable
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import EncoderConfig
from eegfm.errors import CheckpointError

PREFIX = "encoder."
_CONFIG: TypeAdapter[Buildable] = TypeAdapter(EncoderConfig)


def new_encoder(config: Buildable, spec: SignalSpec, seed: int) -> Encoder:
    """Build an encoder whose initial weights follow from the seed alone; global random state is left as is.

    Raises:
        ConfigError: The configuration does not fit the data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = config.build(spec)
    assert isinstance(encoder, Encoder), f"{config.implementation} is no Encoder"
    return encoder


def build_encoder(checkpoint: Checkpoint) -> Encoder:
    """Rebuild the encoder of a checkpoint with its weights, in evaluation mode, on the CPU.

    Raises:
        CheckpointError: The configuration names nothing on the menu, or names or shapes of the weights differ
            from the encoder's; the message lists them.
    """
    encoder = untrained_like(checkpoint, checkpoint.header.seed)
    weights = {name: value for name, value in checkpoint.tensors.items() if name.startswith(PREFIX)}
    state = encoder.state_dict(prefix=PREFIX)
    _check_weights(state, weights)
    # Copied: numpy arrays out of a file can be read-only, which torch cannot express.
    values = {name.removeprefix(PREFIX): torch.from_numpy(np.array(value)) for name, value in weights.items()}
    encoder.load_state_dict(values, strict=True)
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


def _check_weights(state: Mapping[str, Tensor], weights: Mapping[str, NDArray[np.generic]]) -> None:
    missing = sorted(state.keys() - weights.keys())
    unexpected = sorted(weights.keys() - state.keys())
    mismatched = [
        f"{name} is {weights[name].shape}, needs {tuple(state[name].shape)}"
        for name in sorted(state.keys() & weights.keys())
        if tuple(state[name].shape) != weights[name].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    problems = [f"{len(names)} {what} ({_listed(names)})" for what, names in found.items() if names]
    if problems:
        raise CheckpointError(
            f"weights do not fit the encoder: {'; '.join(problems)}; "
            "use the checkpoint with the version of eegfm that wrote it, or pretrain again"
        )


def _listed(names: list[str], n_shown: int = 5) -> str:
    more = f", and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(names[:n_shown]) + more
