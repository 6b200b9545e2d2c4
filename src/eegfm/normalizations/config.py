"""Configurations of the normalizations, and what a choice lets tokens know. No torch here."""

from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from eegfm.config import Amount, Buildable

TYPICAL_UV = 30.0
"""Microvolts that objectives count as 1 where a normalization has no scale of its own."""


class Leak(NamedTuple):
    """A choice that lets a token's content tell of other patches.

    Args:
        key: Key of the choice, from the room on, such as ``encoder.patch_norm``.
        choice: Value of the key.
        patchwise: Value that does not leak.
    """

    key: str
    choice: str
    patchwise: str


class NormalizationBase(Buildable):
    """Base of the configurations of normalizations.

    Args:
        clip: Largest absolute value of the result; larger ones are clipped. None clips nothing.
    """

    takes_statistics: ClassVar[bool] = True
    """A sample's value depends on others of its window, and tells of patches that an objective masks."""
    name: str
    clip: Amount | None = 15.0

    @property
    def objective_scale_uv(self) -> float:
        """Microvolts that objectives count as 1."""
        return TYPICAL_UV

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The choice made here, if tokens know of masked patches by it."""
        return (Leak("normalization.name", self.name, "fixed_scale"),) if self.takes_statistics else ()


class FixedScaleConfig(NormalizationBase):
    """Microvolts over a fixed scale: amplitudes of channels and persons stay comparable.

    Args:
        scale_uv: Microvolts that become 1.
        offset_uv: Microvolts that become 0.
    """

    implementation: ClassVar[str] = "eegfm.normalizations.fixed_scale:FixedScale"
    takes_statistics: ClassVar[bool] = False

    name: Literal["fixed_scale"] = "fixed_scale"
    scale_uv: Amount = 30.0
    offset_uv: float = Field(default=0.0, ge=-1e6, le=1e6)

    @property
    def objective_scale_uv(self) -> float:
        """The scale."""
        return self.scale_uv


class ZscoreConfig(NormalizationBase):
    """Each channel of a window minus its mean, over its standard deviation.

    Args:
        floor_uv: Least standard deviation: the noise of a flat channel stays small.
    """

    implementation: ClassVar[str] = "eegfm.normalizations.zscore:Zscore"

    name: Literal["zscore"] = "zscore"
    floor_uv: Amount = 1.0


class RobustConfig(NormalizationBase):
    """Each channel of a window between two of its quantiles: the lower becomes 0, the upper 1.

    Args:
        low: Lower quantile.
        high: Upper quantile.
        floor_uv: Least distance of the two.
    """

    implementation: ClassVar[str] = "eegfm.normalizations.robust:Robust"

    name: Literal["robust"] = "robust"
    low: float = Field(default=0.25, ge=0, le=1)
    high: float = Field(default=0.75, ge=0, le=1)
    floor_uv: Amount = 1.0

    @model_validator(mode="after")
    def _low_is_below_high(self) -> "RobustConfig":
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}; quartiles are 0.25 and 0.75")
        return self


class WindowScaleConfig(NormalizationBase):
    """One scale for all channels of a window: the ratio of channels stays.

    Args:
        floor_uv: Least scale.
    """

    implementation: ClassVar[str] = "eegfm.normalizations.window_scale:WindowScale"

    name: Literal["window_scale"] = "window_scale"
    floor_uv: Amount = 1.0


class ExponentialMovingConfig(NormalizationBase):
    """Each channel minus its moving mean, over its moving standard deviation; both look back only.

    Args:
        time_constant_s: Time in which the weight of a sample falls to 1/e.
        floor_uv: Least standard deviation.
    """

    implementation: ClassVar[str] = "eegfm.normalizations.exponential_moving:ExponentialMoving"

    name: Literal["exponential_moving"] = "exponential_moving"
    time_constant_s: Amount = 4.0
    floor_uv: Amount = 1.0


NormalizationConfig = Annotated[
    FixedScaleConfig | ZscoreConfig | RobustConfig | WindowScaleConfig | ExponentialMovingConfig,
    Field(discriminator="name"),
]
