"""Trained tokenizers, for objectives that predict their codes."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.config import first_problem
from eegfm.errors import CheckpointError, ConfigError
from eegfm.inference.backbone import Backbone, load_backbone
from eegfm.nn.weights import build_seeded, load_weights
from eegfm.objectives.base import Objective
from eegfm.objectives.config import AnyObjectiveConfig, TokenizerConfig

_OBJECTIVE: TypeAdapter[Any] = TypeAdapter(AnyObjectiveConfig)
_PREFIX = "objective.tokenizer."
_AGAIN = "train it again with: kedro run --pipelines=tokenizer"


def codes_of(checkpoint: Checkpoint, spec: SignalSpec) -> Objective:
    """Rebuild a trained tokenizer for windows of these montages: frozen, in evaluation mode, on the CPU.

    Returns:
        The objective ``tokenizer``: ``codes(batch)`` gives (B, N) codes of stored windows, below ``n_codes``.

    Args:
        checkpoint: Its weights and header.
        spec: Describes the windows that it will meet, as recorded.

    Raises:
        ConfigError: It does not fit the montages.
        CheckpointError: It is no tokenizer, or other code made it.
    """
    # Auxiliary heads have no say in a code.
    config = tokenizer_config(checkpoint.header).model_copy(update={"auxiliary": None})
    tokenizer = build_seeded(config, 0, load_backbone(checkpoint, spec), n_weight_bytes=checkpoint.n_bytes)
    assert isinstance(tokenizer, Objective), f"{config.implementation} is no Objective"
    load_weights(tokenizer.get_submodule("tokenizer"), checkpoint.tensors, _PREFIX, "tokenizer", remedy=_AGAIN)
    return tokenizer.eval().requires_grad_(False)


def check_tokens(tokenizer: Objective, backbone: Backbone) -> None:
    """Refuse a backbone whose tokens are not those of a tokenizer.

    Args:
        tokenizer: See ``codes_of``.
        backbone: What is to predict its codes.

    Raises:
        ConfigError: Patches or channels differ.
    """
    check_patch(tokenizer.encoder.patch_samples, backbone.encoder.patch_samples)
    expected = tokenizer.backbone.encoder_spec.montages
    for name, montage in backbone.encoder_spec.montages.items():
        if montage.channel_names != expected[name].channel_names:
            raise ConfigError(
                f"windows of montage {name} have {expected[name].n_channels} channels behind reference and adapter of "
                f"the tokenizer, and {montage.n_channels} other ones behind those of the encoder, but a code stands "
                f"for a patch of one channel; choose the same reference and adapter for both, and {_AGAIN}"
            )


def check_patch(own: int, other: int) -> None:
    """Refuse an encoder whose patches are not as long as those of a tokenizer.

    Args:
        own: Samples of the tokenizer's patches.
        other: Samples of the encoder's.

    Raises:
        ConfigError: They differ.
    """
    if own != other:
        raise ConfigError(
            f"the tokenizer has patches of {own} samples, the encoder of {other}, and a code stands for one patch; "
            f"set tokenizer.encoder.patch_samples={other} and {_AGAIN}, or change the encoder's patch"
        )


def tokenizer_config(header: CheckpointHeader) -> TokenizerConfig:
    """Configuration of the tokenizer that a checkpoint holds.

    Raises:
        CheckpointError: It holds no tokenizer.
    """
    try:
        config = _OBJECTIVE.validate_python(header.objective)
    except ValidationError as error:
        raise CheckpointError(
            f"the tokenizer's configuration is not on the menu: {first_problem(error)}; {_AGAIN}"
        ) from error
    if not isinstance(config, TokenizerConfig):
        raise CheckpointError(
            f"codes are those of a tokenizer, and this encoder was trained with objective {config.name}; {_AGAIN}"
        )
    return config
