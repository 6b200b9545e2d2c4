"""Features behind every layer of an encoder, for probes that do not only look at the last."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoder, Features
from eegfm.errors import ConfigError


def layer_features(encoder: Encoder, batch: WindowBatch) -> list[Features]:
    """Return the features behind each layer, the first layer first. The last are those of ``Encoder.features``.

    The encoder runs once. Then each layer's output stands in for that of all layers behind it: what follows the layers
    (which rows and registers are kept, the mean over time) treats it as it treats the last output. A final norm belongs
    to the last layer, so that the other layers are looked at without it.

    Args:
        encoder: An encoder in evaluation mode.
        batch: Windows, as for ``Encoder.features``.

    Raises:
        ConfigError: See ``refuse_without_layers``.
    """
    refuse_without_layers(encoder)
    assert not encoder.training, "dropout would differ between the features of layers"
    layers = encoder.depth_layers()
    tokens = encoder.tokenize(batch)
    with _noted([modules[0] for modules in layers]) as outputs:
        last = encoder.encode_with_features(batch, tokens).features
    found = []
    for output in outputs[:-1]:
        with _standing_in(layers, output):
            found.append(encoder.encode_with_features(batch, tokens).features)
    return [*found, last]


def refuse_without_layers(encoder: Encoder, key: str = "probe") -> None:
    """Refuse encoders whose layers cannot stand in for each other.

    Args:
        encoder: The encoder.
        key: Name of the parameters that ask for layers, for the message.

    Raises:
        ConfigError: The encoder is a network of whole windows: its stages have shapes of their own.
    """
    if encoder.traits.output == "window":
        raise ConfigError(
            f"encoder {encoder.name} has stages of different shapes and no layers to take features of; set "
            f"{key}.layers=last, or take an encoder of tokens or patches"
        )


@contextmanager
def _noted(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Note what the modules put out, in the order of computation."""
    outputs: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _m, _args, output: outputs.append(output)) for module in modules]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
    assert len(outputs) == len(modules), "each layer runs once"


@contextmanager
def _standing_in(layers: list[list[nn.Module]], output: Tensor) -> Iterator[None]:
    """Let every layer put out the same, without computing anything, and norms behind a layer what they receive."""

    def put_out(*_args: Any, **_kwargs: Any) -> Tensor:
        return output

    def hand_on(received: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        return received

    changed = [module for modules in layers for module in modules]
    try:
        for first, *behind in layers:
            first.forward = put_out
            for module in behind:
                module.forward = hand_on
        yield
    finally:
        for module in changed:
            vars(module).pop("forward", None)
