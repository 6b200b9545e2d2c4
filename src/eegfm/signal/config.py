"""The menu of the signal path: what is done to every recording between its file and the store."""

from typing import Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel


class SignalParams(StrictModel):
    """How recordings are filtered, resampled and which are long and wide enough to keep."""

    rate_hz: float = Field(default=100.0, gt=0, description="Rate of the stored signal.")
    low_hz: float = Field(default=0.5, gt=0, description="Lower edge of the pass band.")
    high_hz: float = Field(default=45.0, gt=0, description="Upper edge of the pass band.")
    notch_hz: float | None = Field(
        default=None, gt=0, description="Line frequency; it and its harmonics inside the band are removed."
    )
    min_duration_s: float = Field(default=4.0, gt=0, description="Shorter segments are left out.")
    min_channels: int = Field(default=8, ge=1, description="Recordings with fewer electrodes are rejected.")

    @model_validator(mode="after")
    def _band_fits_the_rate(self) -> Self:
        if not self.low_hz < self.high_hz < self.rate_hz / 2:
            raise ValueError(
                f"low_hz={self.low_hz:g}, high_hz={self.high_hz:g}, rate_hz={self.rate_hz:g}: "
                "low_hz < high_hz < rate_hz / 2 must hold; lower high_hz or raise rate_hz"
            )
        return self
