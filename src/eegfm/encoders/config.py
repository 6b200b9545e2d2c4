"""The menu of encoders: typed choices, no torch."""

from typing import Annotated

from pydantic import Field

from eegfm.encoders.configs.patch_transformer import PatchTransformerConfig
from eegfm.encoders.configs.published import CbramodConfig, FembaConfig, LabramConfig, LunaConfig, PublishedConfig
from eegfm.encoders.configs.simple import (
    BraindecodeConfig,
    ConvConfig,
    Deep4Config,
    EegnetConfig,
    EegnexConfig,
    GruConfig,
    ShallowConfig,
    SimpleConfig,
)

EncoderConfig = Annotated[PatchTransformerConfig | PublishedConfig | SimpleConfig, Field(discriminator="name")]

__all__ = [
    "BraindecodeConfig",
    "CbramodConfig",
    "ConvConfig",
    "Deep4Config",
    "EegnetConfig",
    "EegnexConfig",
    "EncoderConfig",
    "FembaConfig",
    "GruConfig",
    "LabramConfig",
    "LunaConfig",
    "PatchTransformerConfig",
    "ShallowConfig",
]
