"""Small encoders of other families than transformers, and the supervised floors that honest tables include."""

from typing import ClassVar, Literal

from pydantic import PositiveFloat

from eegfm.encoders.traits import EncoderChoice, Traits

_FLOOR = Traits(output="window", one_montage=True, one_length=True)


class ConvConfig(EncoderChoice):
    """A convolutional encoder of tokens, channel by channel.

    Args:
        patch_s: Length of a patch.
    """

    implementation: ClassVar[str] = "eegfm.encoders.conv:Conv"
    traits: ClassVar[Traits] = Traits(any_order=True)

    name: Literal["conv"] = "conv"
    patch_s: PositiveFloat = 1.0


class GruConfig(EncoderChoice):
    """A recurrent encoder of tokens, channel by channel, both ways through time.

    Args:
        patch_s: Length of a patch.
    """

    implementation: ClassVar[str] = "eegfm.encoders.gru:Gru"
    traits: ClassVar[Traits] = Traits(any_order=True)

    name: Literal["gru"] = "gru"
    patch_s: PositiveFloat = 1.0


class EegnetConfig(EncoderChoice):
    """EEGNet (Lawhern et al. 2018, arXiv 1611.08024): temporal, spatial and separable convolutions."""

    implementation: ClassVar[str] = "eegfm.encoders.eegnet:Eegnet"
    traits: ClassVar[Traits] = _FLOOR

    name: Literal["eegnet"] = "eegnet"


class EegnexConfig(EncoderChoice):
    """EEGNeX (Chen et al. 2024, arXiv 2207.12369): EEGNet with wider and dilated convolutions."""

    implementation: ClassVar[str] = "eegfm.encoders.eegnex:Eegnex"
    traits: ClassVar[Traits] = _FLOOR

    name: Literal["eegnex"] = "eegnex"


class ShallowConfig(EncoderChoice):
    """ShallowConvNet (Schirrmeister et al. 2017, arXiv 1703.05051): filter bank, spatial filter, log power."""

    implementation: ClassVar[str] = "eegfm.encoders.shallow:Shallow"
    traits: ClassVar[Traits] = _FLOOR

    name: Literal["shallow"] = "shallow"


class Deep4Config(EncoderChoice):
    """DeepConvNet with four blocks (Schirrmeister et al. 2017, arXiv 1703.05051)."""

    implementation: ClassVar[str] = "eegfm.encoders.deep4:Deep4"
    traits: ClassVar[Traits] = _FLOOR

    name: Literal["deep4"] = "deep4"


class BraindecodeConfig(EncoderChoice):
    """Any model of braindecode (extra ``zoo``), imported only when it is built.

    Args:
        model: Its class name there.
    """

    implementation: ClassVar[str] = "eegfm.encoders.braindecode:Braindecode"
    traits: ClassVar[Traits] = _FLOOR

    name: Literal["braindecode"] = "braindecode"


SimpleConfig = ConvConfig | GruConfig | EegnetConfig | EegnexConfig | ShallowConfig | Deep4Config | BraindecodeConfig
