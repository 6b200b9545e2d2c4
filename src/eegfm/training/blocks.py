"""Blocks of parameters that the phases of a training share. No torch and no Lightning here."""

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from eegfm.config import Count, Number, StrictModel


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
