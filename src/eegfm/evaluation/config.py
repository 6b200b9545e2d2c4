"""Configurations of the probes."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel, refuse_unused

Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pooling = Literal["channels", "mean"]
"""Pooling of a window's features over channels: all channels side by side, or their mean."""

HALF_DECADES = tuple(10.0 ** (k / 2) for k in range(-6, 11))


class ProbeParams(StrictModel):
    """Evaluation of a frozen encoder on persons it has never seen. ``split.folds`` decides who is held out together.

    Args:
        task: The cut whose labelled windows are classified.
        method: Closed-form ridge on class targets, or logistic regression.
        pooling: Features are averaged over time patches; ``channels`` keeps the channels side by side (one
            montage only), ``mean`` averages over them as well.
        lambdas: Penalties to choose from, per training window (both methods minimise a mean loss). See
            ``eegfm.evaluation.penalty`` for the choice.
        inner_folds: Groups of training persons on which the penalty is chosen; at most one person each.
        n_untrained: Number of untrained initialisations of the same encoder, for comparison.
        untrained_seed: Seed of the first untrained initialisation; the others count up from it.
        n_bootstrap: Number of resamples of persons for each interval.
        seed: Seed of the bootstrap.
        transductive: Also report features z-scored per person without labels. This uses the held-out person's windows,
            so the scores have a row of their own.
        allow_pretrained_persons: Also probe persons and signals of the pretraining; the metrics list them.
        accept_other_code: Probe an encoder that was made by other code than the present code; the metrics list the
            differences.
        accept_other_data: Probe an encoder that was trained on another generation of signals or splits.
        batch_size: Windows per forward pass.
        device: Device of the encoder; ``auto`` takes a GPU if there is one.
        verify: Comparison of stored samples with their checksums: each block before its first use, or never.
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
        """Options that decide the result: all except those for the machine."""
        return self.model_dump(mode="json", exclude={"batch_size", "device", "verify"})
