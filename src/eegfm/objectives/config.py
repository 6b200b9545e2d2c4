"""Union of the configurations of objectives. No torch here."""

from typing import Annotated

from pydantic import Field

from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.contrastive.config import ContrastiveConfig
from eegfm.objectives.isc.config import IscConfig
from eegfm.objectives.patches.config import MaeConfig, MaskedConfig, PatchObjectiveConfig
from eegfm.objectives.tokenizer.config import TokenizerConfig

__all__ = [
    "AnyObjectiveConfig",
    "ContrastiveConfig",
    "IscConfig",
    "MaeConfig",
    "MaskedConfig",
    "ObjectiveConfig",
    "PatchObjectiveConfig",
    "TokenizerConfig",
]

AnyObjectiveConfig = Annotated[
    MaskedConfig | MaeConfig | ContrastiveConfig | IscConfig | TokenizerConfig, Field(discriminator="name")
]
