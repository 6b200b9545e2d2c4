"""Configuration of FEMBA."""

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from eegfm.config import Count, Depth
from eegfm.encoders.traits import EncoderConfig, Traits, named_size
from eegfm.normalizations.config import FixedScaleConfig, NormalizationBase


class FembaConfig(EncoderConfig):
    """FEMBA (arXiv 2502.06438): bidirectional Mamba blocks over time, all channels of a montage in each vector.

    Args:
        size: Names ``d_token`` and ``n_layers`` that are not given: tiny (35, 2), base (35, 12), large (79, 4),
            huge (79, 20).
        patch_samples: Samples of a patch; the published models take 16 at 256 Hz.
        channels_per_token: Neighbouring channels that share a token; a channel of zeros fills up the last one.
        d_token: Width E of a token; an encoded vector has E times the number of tokens in a patch of time.
        n_layers: Number of bidirectional layers.
        expand: Channels of the scan over the width of an encoded vector.
        d_state: Numbers of state per channel of the scan.
        d_conv: Patches that the convolution before the scan looks at.
        scan: ``mamba_ssm`` runs on its fused kernels, ``torch`` on any device, ``auto`` on the available one.
    """

    implementation: ClassVar[str] = "eegfm.encoders.femba.model:Femba"
    traits: ClassVar[Traits] = Traits(output="patches", one_montage=True, one_length=True)
    default_normalization: ClassVar[NormalizationBase] = FixedScaleConfig(scale_uv=40.0, offset_uv=-20.0, clip=None)
    sizes: ClassVar[dict[str, dict[str, int]]] = {
        "tiny": {"d_token": 35, "n_layers": 2},
        "base": {"d_token": 35, "n_layers": 12},
        "large": {"d_token": 79, "n_layers": 4},
        "huge": {"d_token": 79, "n_layers": 20},
    }

    name: Literal["femba"] = "femba"
    size: Literal["tiny", "base", "large", "huge"] | None = "tiny"
    patch_samples: Count = 16
    channels_per_token: Count = 2
    d_token: Count = 35
    n_layers: Depth = 2
    expand: Count = 4
    d_state: Count = 16
    d_conv: Count = 4
    scan: Literal["auto", "torch", "mamba_ssm"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _named_size(cls, data: Any) -> Any:
        return named_size(data, cls.sizes, "tiny")
