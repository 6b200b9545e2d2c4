"""Configurations of the augmentations. No torch here.

Standard deviations of logarithms are those of the random factor's natural logarithm: 0.5 is a factor between 0.61 and
1.65 for two of three windows.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from eegfm.config import Amount, Buildable, Count

LogSd = Annotated[float, Field(gt=0, le=3, allow_inf_nan=False)]
"""Standard deviation of a natural logarithm."""


class AugmentationBase(Buildable):
    """Base of the configurations of augmentations."""

    keeps_channels: ClassVar[bool] = True
    """Windows come out with all channels of their montage, of which some may be masked. What does not keep them suits
    encoders and adapters that take any electrodes."""
    name: str


class GainConfig(AugmentationBase):
    """One random factor for all channels of a window: amplifiers, skulls.

    Args:
        log_sd: Standard deviation of its logarithm.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.gain:Gain"

    name: Literal["gain"] = "gain"
    log_sd: LogSd = 0.5


class ChannelGainConfig(AugmentationBase):
    """A random factor for each channel of a window: impedances.

    Args:
        log_sd: Standard deviation of its logarithm.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.channel_gain:ChannelGain"

    name: Literal["channel_gain"] = "channel_gain"
    log_sd: LogSd = 0.2


class SpectralTiltConfig(AugmentationBase):
    """A smooth random gain over frequency: skulls and impedances, which pass some frequencies better than others.

    Its logarithm is a sum of cosines over the frequencies from 0 Hz to half the rate.

    Args:
        log_sd: Standard deviation of the first cosine's amplitude; that of the k-th is ``log_sd / sqrt(k)``.
        n_cosines: Number of cosines; the last has so many half periods.
        per_channel: Whether each channel gets a gain of its own, or all of a window the same.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.spectral_tilt:SpectralTilt"

    name: Literal["spectral_tilt"] = "spectral_tilt"
    log_sd: LogSd = 0.15
    n_cosines: Count = 6
    per_channel: bool = False


class ChannelDropoutConfig(AugmentationBase):
    """Channels of a window become absent at random, as if they were bad; at least one is left.

    Args:
        ratio: Probability of each channel.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.channel_dropout:ChannelDropout"

    name: Literal["channel_dropout"] = "channel_dropout"
    ratio: float = Field(default=0.2, gt=0, lt=1)


class ChannelSubsetConfig(AugmentationBase):
    """A random subset of the channels, the same for all windows of a micro-batch.

    Args:
        n_channels: Largest size of the subset.
        ratio: Largest size as a share of the montage's channels.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.channel_subset:ChannelSubset"
    keeps_channels: ClassVar[bool] = False

    name: Literal["channel_subset"] = "channel_subset"
    n_channels: Count = 12
    ratio: float = Field(default=1.0, gt=0, le=1)

    def size(self, n_channels: int) -> int:
        """Return how many of the channels of a montage are left: at least one."""
        return min(self.n_channels, max(1, round(self.ratio * n_channels)))


class TimeShiftConfig(AugmentationBase):
    """All channels of a window move in time together, by a random whole number of samples.

    Args:
        max_ms: Largest shift, to either side.
        edges: What fills the gap: the other end of the window (``circular``), or the window mirrored at its edge
            (``reflect``).
    """

    implementation: ClassVar[str] = "eegfm.augmentations.time_shift:TimeShift"

    name: Literal["time_shift"] = "time_shift"
    max_ms: Amount = 100.0
    edges: Literal["circular", "reflect"] = "circular"


class NoiseConfig(AugmentationBase):
    """Gaussian noise of each channel is added; flat channels get it, too, absent ones do not.

    Args:
        sd: Standard deviation of the noise, in the unit of ``relative_to``.
        relative_to: ``window``: the standard deviation of the window, over all its channels. ``microvolts``: 1 µV.
        color: ``white``, or ``pink``: power falls with frequency, as the background of EEG does.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.noise:Noise"

    name: Literal["noise"] = "noise"
    sd: Amount = 0.1
    relative_to: Literal["window", "microvolts"] = "window"
    color: Literal["white", "pink"] = "white"


class BandStopConfig(AugmentationBase):
    """A band of frequencies is removed from all channels of a window.

    Args:
        low_hz: Lowest centre of the band.
        high_hz: Highest centre of the band; below half the rate.
        min_width_hz: Least width of what is removed completely.
        max_width_hz: Greatest width.
        edge_hz: Beside the band, the gain rises from 0 to 1 over so many hertz.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.band_stop:BandStop"

    name: Literal["band_stop"] = "band_stop"
    low_hz: NonNegativeFloat = 2.0
    high_hz: Amount = 40.0
    min_width_hz: NonNegativeFloat = 1.0
    max_width_hz: Amount = 4.0
    edge_hz: Amount = 1.0

    @model_validator(mode="after")
    def _ranges_have_two_ends(self) -> "BandStopConfig":
        for low, high in (("low_hz", "high_hz"), ("min_width_hz", "max_width_hz")):
            found = getattr(self, low), getattr(self, high)
            if found[0] > found[1]:
                raise ValueError(f"{low} {found[0]:g} is above {high} {found[1]:g}; exchange them")
        return self


class PhaseNoiseConfig(AugmentationBase):
    """Phases of a window's frequencies change smoothly and at random; their amplitudes stay.

    The change is a sum of sines over the frequencies from 0 Hz to half the rate, where it is zero.

    Args:
        sd_rad: Standard deviation of the first sine's amplitude; that of the k-th is ``sd_rad / sqrt(k)``.
        n_sines: Number of sines: the more, the further a wave is spread in time.
        per_channel: Whether each channel gets a change of its own, or all of a window the same.
    """

    implementation: ClassVar[str] = "eegfm.augmentations.phase_noise:PhaseNoise"

    name: Literal["phase_noise"] = "phase_noise"
    sd_rad: Amount = 0.5
    n_sines: Count = 6
    per_channel: bool = False


AugmentationConfig = Annotated[
    GainConfig
    | ChannelGainConfig
    | SpectralTiltConfig
    | ChannelDropoutConfig
    | ChannelSubsetConfig
    | TimeShiftConfig
    | NoiseConfig
    | BandStopConfig
    | PhaseNoiseConfig,
    Field(discriminator="name"),
]
