"""Traits of encoders, known before an encoder is built. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from eegfm.config import Buildable
from eegfm.normalizations.config import FixedScaleConfig, Leak, NormalizationBase

PatchNorm = Literal["window", "patch"]
PATCHWISE_NORM: Mapping[str, str] = {"patch_norm": "patch"}
PUBLISHED_NORM: Mapping[str, str] = {"patch_norm": "window"}


@dataclass(frozen=True)
class Traits:
    """Promises that the contract tests hold an encoder to, and that objectives ask for before anything runs.

    Args:
        output: Meaning of an encoded vector: one token, one patch of time with all channels in it, or the whole
            window (``window``: features, no tokens).
        supports_visible: Encodes a subset of the tokens, with the result of hiding the rest; at the cost of the subset
            where its attention allows, see the encoder.
        any_order: Permuting channels together with their positions permutes rows of output and changes nothing else.
        one_montage: Tied to the channels and the order of one montage; others need an adapter in front.
        one_length: Tied to one window length.
        has_queries: Learned queries gather the channels, and ``Encoder.query_attention`` tells what they look at.
    """

    output: Literal["tokens", "patches", "window"] = "tokens"
    supports_visible: bool = False
    any_order: bool = False
    one_montage: bool = False
    one_length: bool = False
    has_queries: bool = False


@dataclass(frozen=True)
class Sight:
    """Directions in which tokens of an encoder see each other, through all of its layers.

    Args:
        channels: A token sees other channels of its patch.
        patches: A token sees other patches of its channels.
        choice: Choices that leave a direction out, as a configuration writes them; empty where none does.
        remedy: What to set instead.
    """

    channels: bool = True
    patches: bool = True
    choice: str = ""
    remedy: str = ""


class EncoderConfig(Buildable):
    """Base of the configurations of encoders."""

    traits: ClassVar[Traits] = Traits()
    patchwise: ClassVar[Mapping[str, str]] = {}
    """By key, the choice with which a token's content depends on its own patch only. Any other choice takes statistics
    over the window, and tells every token of patches that an objective masks."""
    has_depth_groups: ClassVar[bool] = True
    """Whether ``Encoder.depth_layers`` tells which parameters come first."""
    published: ClassVar[Mapping[str, str]] = {}
    """By key, the choice that published weights were trained with, where the default is another. An import takes it."""
    default_normalization: ClassVar[NormalizationBase] = FixedScaleConfig()
    """Normalization of the signal where the parameters name none."""
    published_normalization: ClassVar[NormalizationBase | None] = None
    """Normalization that published weights were trained with, where the default is another. An import takes it."""
    name: str

    @property
    def sight(self) -> Sight:
        """Directions in which tokens see each other, with the choices made here."""
        return Sight()

    @property
    def has_rows(self) -> bool:
        """Tell whether features have a row for each channel or group of channels, not one for the whole window."""
        return self.traits.output == "tokens"

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The choices made here that are not ``patchwise``."""
        leaks = (
            Leak(f"encoder.{key}", str(getattr(self, key)), patchwise) for key, patchwise in self.patchwise.items()
        )
        return tuple(leak for leak in leaks if leak.choice != leak.patchwise)


def named_size(data: Any, sizes: Mapping[str, Mapping[str, Any]], default: str) -> Any:
    """Fill in what a configuration's ``size`` names and the user does not: for validators that run before the fields.

    What is given wins; where it differs from what the size names, there is no such size, and ``size`` becomes None. A
    configuration read back from a checkpoint names everything, so nothing in it depends on what a size means today.

    Args:
        data: Input of the model.
        sizes: By name, values of fields.
        default: The size where none is named.
    """
    if not isinstance(data, Mapping):
        return data
    size = data.get("size", default)
    named = sizes[default] if size is None else sizes.get(size)
    if named is None:
        return data
    filled = {**named, **data, "size": size}
    return filled if all(filled[key] == value for key, value in named.items()) else {**filled, "size": None}


class WindowConfig(EncoderConfig):
    """Base of encoders that give features of a whole window and no tokens."""

    traits: ClassVar[Traits] = Traits(output="window", one_montage=True, one_length=True)
