"""Blocks of parameters that the phases of a training share. No torch and no Lightning here."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, model_validator

from eegfm.config import Count, Number, StrictModel
from eegfm.nn.load_report import LoadExceptions, Prefix


class ShuffleParams(StrictModel):
    """Shuffling of the windows of a group: one by one, or in runs that a disk reads at once.

    Args:
        run_windows: Neighbouring windows that are read together; 1 shuffles every window on its own.
        pool_windows: Windows of many runs that are read together and drawn from one by one.
    """

    run_windows: Number = 1
    pool_windows: Number = 65_536

    @model_validator(mode="after")
    def _pool_holds_runs(self) -> "ShuffleParams":
        if self.pool_windows < self.run_windows:
            raise ValueError(
                f"pool_windows {self.pool_windows} is less than run_windows {self.run_windows}; a pool holds many runs"
            )
        return self


class CheckpointParams(StrictModel):
    """States of a training that an interrupted run goes on from. No option changes a result.

    Args:
        every_steps: Steps between two states; null keeps only those of a stop and of the end.
        keep: Number of states that are kept, apart from that of the best validation.
    """

    every_steps: Number | None = 200
    keep: Count = 3


class LoaderParams(StrictModel):
    """Loading of batches to the device. No option changes the contents of batches.

    Args:
        n_ahead: Steps that are gathered while earlier ones train.
        read_ahead_steps: Steps whose samples are read from a disk while earlier ones are gathered.
        residency: ``disk`` gathers from the stores; ``device`` first copies all signals of the mixture to the device;
            ``auto`` does so on an accelerator that has room for them.
        device_memory_ratio: Largest share of the device's free memory that signals may take.
        verify: When stored samples are compared with their checksums. ``before_training`` reads all recordings of the
            mixture once before the first step; ``first_read`` compares each block when a window of it is drawn for the
            first time; ``off`` trains on whatever is stored.
    """

    n_ahead: Count = 4
    read_ahead_steps: NonNegativeInt = 64
    residency: Literal["auto", "disk", "device"] = "auto"
    device_memory_ratio: float = Field(default=0.5, gt=0, le=1)
    verify: Literal["before_training", "first_read", "off"] = "before_training"


class WeightAverageParams(StrictModel):
    """Moving average of the weights, which validation looks at and which is published.

    Args:
        decay: Share of the average that each step keeps; it averages about 1 / (1 - decay) steps.
        start_ratio: Share of all steps behind which the average starts.
    """

    decay: float = Field(default=0.999, gt=0, lt=1)
    start_ratio: float = Field(default=0.5, ge=0, lt=1)


class LoadParams(StrictModel):
    """Exceptions of a training that starts from an encoder. Without them every weight must fit.

    Args:
        allow_missing: Prefixes of weights that the start may lack; they keep their fresh values.
        allow_unexpected: Prefixes of weights of the start that there is no place for.
        accept_other_code: Whether a start that other code made is taken, with a warning.
        allow_test_persons: Whether the start may have been trained on persons that are tested here. They are counted.
    """

    allow_missing: tuple[Prefix, ...] = ()
    allow_unexpected: tuple[Prefix, ...] = ()
    accept_other_code: bool = False
    allow_test_persons: bool = False

    @property
    def exceptions(self) -> LoadExceptions:
        """The exceptions for names of weights."""
        return LoadExceptions(allow_missing=self.allow_missing, allow_unexpected=self.allow_unexpected)


class SupervisedLoadParams(LoadParams):
    """Exceptions of a supervised training that starts from an encoder. For what is left out here see ``LoadParams``.

    Args:
        head: ``fresh`` draws the weights of the head anew, also where the start has a head for the same question.
            ``keep`` goes on with the head of the start, which must have been trained with the same objective.
    """

    head: Literal["keep", "fresh"] = "fresh"


class FreezeRule(StrictModel):
    """Weights that are not trained at first, or not at all.

    Args:
        parts: Names of parts of the model: ``adapter``, ``encoder``, ``encoder.layers.0``, ``objective``.
        until_epoch: Epoch of the plan, counted from 0, with whose first step they are released; None for never.
    """

    parts: tuple[Prefix, ...] = Field(min_length=1)
    until_epoch: Number | None = None


def as_rules(value: Any) -> Any:
    """Let one rule stand without a list."""
    return (value,) if isinstance(value, Mapping | FreezeRule) else value


FreezeRules = Annotated[tuple[FreezeRule, ...], BeforeValidator(as_rules)]
