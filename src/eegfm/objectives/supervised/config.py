"""Configuration of supervised training. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from eegfm.config import Amount, Count, StrictModel
from eegfm.heads.config import HeadConfig, MlpConfig
from eegfm.losses.config import LossConfig
from eegfm.objectives.base_config import ObjectiveConfig
from eegfm.targets import Kind, TargetSpec


class Target(StrictModel):
    """Question to a window, as a checkpoint says it; see ``eegfm.targets.TargetSpec``."""

    kind: Kind
    classes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unit: str = ""

    @classmethod
    def of(cls, spec: TargetSpec) -> "Target":
        """Say the same."""
        return cls(**spec._asdict())

    @property
    def spec(self) -> TargetSpec:
        """The same as a tuple."""
        return TargetSpec(self.kind, self.classes, self.outputs, self.unit)


class LoraConfig(StrictModel):
    """Low-rank changes of the linear maps of an encoder (Hu et al. 2021, arXiv 2106.09685).

    Args:
        rank: Rank of the change of each map.
        alpha: Scale of the change: it is multiplied by alpha / rank.
    """

    rank: Count = 8
    alpha: Amount = 16.0


class SupervisedConfig(ObjectiveConfig):
    """Predict the answer of a window. A job fills in what the training persons tell.

    Args:
        target: What is asked.
        head: Network behind the encoder.
        loss: Loss of what it says; the usual one of the kind of answer if not given.
        class_weights: Factor of the loss of each answer, flat, see ``eegfm.losses.class_weights``; empty for none.
        mean: Mean of each number over training windows. Heads predict standardised numbers.
        sd: Standard deviation of each number.
        standardizes: Whether the head gets tokens standardised by what the encoder gives before the training. Tokens of
            an encoder that is trained from fresh weights change too much for that.
        lora: Low-rank changes of the encoder, which are trained in its place.
    """

    implementation: ClassVar[str] = "eegfm.objectives.supervised.model:Supervised"
    needs_tokens: ClassVar[bool] = False

    name: Literal["supervised"] = "supervised"
    target: Target
    head: HeadConfig = MlpConfig()
    loss: LossConfig | None = None
    class_weights: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    standardizes: bool = True
    lora: LoraConfig | None = None
    augment: tuple[()] = Field(default=(), max_length=0)
