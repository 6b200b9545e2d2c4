"""Union of the configurations of objectives. No torch here."""

from typing import Annotated

from pydantic import Field

from eegfm.objectives.auxiliary.config import AuxiliaryObjectiveConfig
from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.contrastive.config import ContrastiveConfig
from eegfm.objectives.isc.config import IscConfig
from eegfm.objectives.jepa.config import JepaConfig
from eegfm.objectives.patches.config import MaeConfig, MaskedConfig, PatchObjectiveConfig
from eegfm.objectives.smart.config import SmartConfig
from eegfm.objectives.ts2vec.config import Ts2VecConfig

__all__ = [
    "AnyObjectiveConfig",
    "AuxiliaryObjectiveConfig",
    "ContrastiveConfig",
    "IscConfig",
    "JepaConfig",
    "MaeConfig",
    "MaskedConfig",
    "ObjectiveConfig",
    "PatchObjectiveConfig",
    "SmartConfig",
    "Ts2VecConfig",
]

AnyObjectiveConfig = Annotated[
    MaskedConfig
    | MaeConfig
    | ContrastiveConfig
    | IscConfig
    | JepaConfig
    | Ts2VecConfig
    | SmartConfig
    | AuxiliaryObjectiveConfig,
    Field(discriminator="name"),
]
