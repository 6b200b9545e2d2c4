"""Configurations of the probes."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel, refuse_unused

Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pooling = Literal["channels", "mean"]
"""What a window's features keep of its channels: all of them side by side, or their mean."""

HALF_DECADES = tuple(10.0 ** (k / 2) for k in range(-6, 11))


class ProbeParams(StrictModel):
    """How a frozen encoder is judged on persons it has never seen; ``split.folds`` says who is held out at a time.

    Args:
        task: The cut whose labelled windows are classified.
        method: Closed-form ridge on class targets, or logistic regression.
        pooling: Features are averaged over time patches; ``channels`` keeps the channels side by side (one
            montage only), ``mean`` averages over them as well.
        lambdas: Penalties to choose from, per training window (both methods minimise a mean loss).
        inner_folds: Groups of training persons on which the penalty is chosen; at most one person each.
        n_untrained: Untrained initialisations of the same encoder that stand beside the trained one.
        untrained_seed: Seed of the first of them; the others count on.
        n_bootstrap: Resamples of persons behind each interval.
        seed: Seed of the bootstrap.
        transductive: Also report features z-scored per person without labels. That uses the held-out person's
            windows, so it stands in a row of its own.
        allow_pretrained_persons: Probe persons and signals of the pretraining too; the metrics say which.
        accept_other_code: Probe an encoder that other code made than there is now; the metrics say what differs.
        accept_other_data: Probe an encoder that was trained on another generation of signals or splits.
        batch_size: Windows per forward pass.
        device: Where the encoder runs; ``auto`` takes a GPU where there is one.
        verify: When stored samples are compared with their checksums: each block when a window of it is read for the
            first time, or never.
    """

    task: str
    method: Literal["ridge", "logistic"] = "ridge"
    pooling: Pooling = "channels"
    lambdas: tuple[Penalty, ...] = Field(HALF_DECADES, min_length=1)
    inner_folds: int = Field(5, ge=2)
    n_untrained: int = Field(5, ge=1)
    untrained_seed: int = Field(1000, ge=0)
    n_bootstrap: int = Field(2000, ge=100)
    seed: int = Field(0, ge=0)
    transductive: bool = True
    allow_pretrained_persons: bool = False
    accept_other_code: bool = False
    accept_other_data: bool = False
    batch_size: int = Field(256, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    verify: Literal["first_read", "off"] = "first_read"

    @model_validator(mode="after")
    def _options_are_used(self) -> Self:
        if len(self.lambdas) == 1:
            refuse_unused(self, ["inner_folds"], "where lambdas has one value, so that there is nothing to choose")
        return self

    def identity(self) -> dict[str, Any]:
        """What decides the result: everything but the machine."""
        return self.model_dump(mode="json", exclude={"batch_size", "device", "verify"})
