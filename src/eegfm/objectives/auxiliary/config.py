"""Configuration of multi-task pretraining on labels. No torch here."""

from typing import ClassVar, Literal

from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.objectives.heads.config import AuxiliaryConfig


class AuxiliaryObjectiveConfig(ObjectiveConfig):
    """Predict labels of persons from a window's features, and nothing else: supervised pretraining on several tasks."""

    implementation: ClassVar[str] = "eegfm.objectives.auxiliary.model:Auxiliary"
    needs_tokens: ClassVar[bool] = False

    name: Literal["auxiliary"] = "auxiliary"
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
