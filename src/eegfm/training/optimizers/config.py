"""Menu of optimizers. No torch here."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from eegfm.config import Buildable


class AdamWConfig(Buildable):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101).

    Args:
        learning_rate: Peak of the schedule.
        betas: Decay of the running means of gradient and squared gradient.
        eps: Added to the denominator.
        weight_decay: Applied to matrices only; norms, biases and embeddings are left alone.
    """

    implementation: ClassVar[str] = "eegfm.training.optimizers.adamw:build_adamw"

    name: Literal["adamw"] = "adamw"
    learning_rate: PositiveFloat = 3e-3
    betas: tuple[float, float] = (0.9, 0.98)
    eps: PositiveFloat = 1e-8
    weight_decay: float = Field(default=0.05, ge=0)


OptimizerConfig = Annotated[AdamWConfig, Field(discriminator="name")]
