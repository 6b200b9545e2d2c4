"""Union of the encoder configurations. No torch here."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field

from eegfm.encoders.baselines.config import EegnetConfig, EegnexConfig
from eegfm.encoders.braindecode.config import BraindecodeConfig
from eegfm.encoders.cbramod.config import CbramodConfig
from eegfm.encoders.channelwise.config import ConvConfig, GruConfig
from eegfm.encoders.femba.config import FembaConfig
from eegfm.encoders.labram.config import LabramConfig
from eegfm.encoders.luna.config import LunaConfig
from eegfm.encoders.patch_transformer.config import PatchTransformerConfig

PublishedConfig = LunaConfig | FembaConfig | LabramConfig | CbramodConfig
"""Published architectures, rebuilt: their public weights can be imported, see ``eegfm.encoders.published``."""
SimpleConfig = ConvConfig | GruConfig | EegnetConfig | EegnexConfig | BraindecodeConfig
AnyEncoderConfig = Annotated[PatchTransformerConfig | PublishedConfig | SimpleConfig, Field(discriminator="name")]

__all__ = [
    "AnyEncoderConfig",
    "BraindecodeConfig",
    "CbramodConfig",
    "ConvConfig",
    "EegnetConfig",
    "EegnexConfig",
    "FembaConfig",
    "GruConfig",
    "LabramConfig",
    "LunaConfig",
    "PatchTransformerConfig",
]


def as_published(encoder: Any) -> Any:
    """Fill in, for an import, what published weights were trained with and the user does not name.

    Args:
        encoder: A configuration as written in a file. Anything else comes back as it is.
    """
    if not isinstance(encoder, Mapping):
        return encoder
    choices = {member.model_fields["name"].default: member.published for member in get_args(PublishedConfig)}
    return {**choices.get(str(encoder.get("name")), {}), **encoder}
