"""Union of the configurations of objectives. No torch here."""

from typing import Annotated

from pydantic import Field

from eegfm.objectives.auxiliary.config import AuxiliaryObjectiveConfig
from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.contrastive.config import ContrastiveConfig
from eegfm.objectives.isc.config import IscConfig
from eegfm.objectives.patches.config import MaeConfig, MaskedConfig, PatchObjectiveConfig

__all__ = [
    "AnyObjectiveConfig",
    "AuxiliaryObjectiveConfig",
    "ContrastiveConfig",
    "IscConfig",
    "MaeConfig",
    "MaskedConfig",
    "ObjectiveConfig",
    "PatchObjectiveConfig",
]

AnyObjectiveConfig = Annotated[
    MaskedConfig | MaeConfig | ContrastiveConfig | IscConfig | AuxiliaryObjectiveConfig, Field(discriminator="name")
]
