"""Menu of the strategies of finetuning. No torch here."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from eegfm.config import Number, StrictModel
from eegfm.objectives.supervised.config import LoraConfig


class LinearProbeStrategy(StrictModel):
    """Train the head alone; the encoder is frozen and in evaluation mode."""

    name: Literal["linear_probe"] = "linear_probe"


class TwoStageStrategy(StrictModel):
    """Train the head first, then everything (Kumar et al. 2022, arXiv 2202.10054).

    Args:
        probe_epochs: Epochs of the head alone.
    """

    name: Literal["two_stage"] = "two_stage"
    probe_epochs: Number = 5


class GradualStrategy(StrictModel):
    """Release the encoder later: at once, or block by block from the last to the embeddings (arXiv 1801.06146).

    Args:
        unfreeze_epoch: Epoch, counted from 0, with whose first step the encoder, or its last block, is released.
        block_epochs: Epochs from one block to the next; None releases all at once.
    """

    name: Literal["gradual"] = "gradual"
    unfreeze_epoch: NonNegativeInt = 3
    block_epochs: Number | None = 1


class FullStrategy(StrictModel):
    """Train everything from the first step."""

    name: Literal["full"] = "full"


class LayerDecayStrategy(StrictModel):
    """Train everything, earlier layers with smaller rates (Clark et al. 2020, arXiv 2003.10555).

    Args:
        factor: Learning rate of a layer over that of the layer behind it; embeddings come before the first layer.
    """

    name: Literal["layer_decay"] = "layer_decay"
    factor: float = Field(default=0.75, gt=0, le=1)


class LoraStrategy(LoraConfig):
    """Train low-rank changes of the encoder's linear maps, and the head; see ``LoraConfig``."""

    name: Literal["lora"] = "lora"


class ScratchStrategy(StrictModel):
    """Train everything from fresh weights of the same encoder: what a start is worth."""

    name: Literal["scratch"] = "scratch"


AnyTrainedStrategy = (
    LinearProbeStrategy
    | TwoStageStrategy
    | GradualStrategy
    | FullStrategy
    | LayerDecayStrategy
    | LoraStrategy
    | ScratchStrategy
)
"""Strategies by gradients."""
TrainedStrategy = Annotated[AnyTrainedStrategy, Field(discriminator="name")]
