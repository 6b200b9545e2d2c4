"""Published architectures, rebuilt: their public weights can be imported, see ``eegfm.encoders.key_maps``."""

from typing import ClassVar, Literal

from pydantic import PositiveInt

from eegfm.encoders.traits import EncoderChoice, Traits


class LunaConfig(EncoderChoice):
    """LUNA (arXiv 2510.22257): learned queries gather the channels of each time step, a transformer reads time.

    Args:
        size: Names queries, width and depth that are not given.
        patch_samples: Samples of a patch; the published models take 40 at 256 Hz.
    """

    implementation: ClassVar[str] = "eegfm.encoders.luna:Luna"
    traits: ClassVar[Traits] = Traits(output="patches", any_order=True)

    name: Literal["luna"] = "luna"
    patch_samples: PositiveInt = 40


class FembaConfig(EncoderChoice):
    """FEMBA (arXiv 2502.06438): bidirectional Mamba blocks over time, all channels of a montage in each token.

    Args:
        patch_samples: Samples of a patch; the published models take 16 at 256 Hz.
    """

    implementation: ClassVar[str] = "eegfm.encoders.femba:Femba"
    traits: ClassVar[Traits] = Traits(output="patches", one_montage=True, one_length=True)

    name: Literal["femba"] = "femba"
    patch_samples: PositiveInt = 16


class LabramConfig(EncoderChoice):
    """LaBraM (ICLR 2024, arXiv 2405.18765): convolutional patches, embeddings of named electrodes and of time.

    Args:
        patch_samples: Samples of a patch; the published models take 200 at 200 Hz.
    """

    implementation: ClassVar[str] = "eegfm.encoders.labram:Labram"
    traits: ClassVar[Traits] = Traits(supports_visible=True, any_order=True)

    name: Literal["labram"] = "labram"
    patch_samples: PositiveInt = 200


class CbramodConfig(EncoderChoice):
    """CBraMod (ICLR 2025, arXiv 2412.07236): criss-cross attention with convolutional conditional positions.

    Args:
        patch_samples: Samples of a patch; the published model takes 200 at 200 Hz.
    """

    implementation: ClassVar[str] = "eegfm.encoders.cbramod:Cbramod"
    traits: ClassVar[Traits] = Traits()

    name: Literal["cbramod"] = "cbramod"
    patch_samples: PositiveInt = 200


PublishedConfig = LunaConfig | FembaConfig | LabramConfig | CbramodConfig
