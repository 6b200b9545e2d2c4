"""Union of the targets of masked patches. No torch here."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from eegfm.config import Amount, Buildable, refuse_repeated

_ROOM = "eegfm.objectives.patches.targets"


class TargetBase(Buildable):
    """Base of the targets.

    Args:
        weight: Factor of its loss, where several are predicted at once.
    """

    needs_tokenizer: ClassVar[bool] = False
    """Asks a tokenizer, which has been trained before."""
    name: str
    weight: Amount = 1.0

    @property
    def label(self) -> str:
        """Name of its losses in logs."""
        return self.name


class SignalTarget(TargetBase):
    """Samples of a patch, over the scale of the normalization."""

    implementation: ClassVar[str] = f"{_ROOM}.signal:Signal"

    name: Literal["signal"] = "signal"


class NormalizedSignalTarget(TargetBase):
    """Samples of a patch, minus their mean, over their standard deviation (He et al. 2022, arXiv 2111.06377).

    Amplitudes of patches, channels and persons are not asked for.

    Args:
        floor_uv: Least standard deviation: the noise of a flat channel stays small.
    """

    implementation: ClassVar[str] = f"{_ROOM}.signal:NormalizedSignal"

    name: Literal["normalized_signal"] = "normalized_signal"
    floor_uv: Amount = 1.0


class LogSpectrumTarget(TargetBase):
    """Log power spectrum of a patch, each frequency standardised over training windows.

    Args:
        minus: What is subtracted from the spectrum before. ``window``: the mean over the window's patches of the same
            channel. ``person``: the mean over channels and windows of the person, as far as the first training steps
            show them, see ``eegfm.objectives.patches.targets.person_means``. ``slope``: the straight line through the
            patch's own spectrum over the logarithm of frequency (1/f).
    """

    implementation: ClassVar[str] = f"{_ROOM}.log_spectrum:LogSpectrum"

    name: Literal["log_spectrum"] = "log_spectrum"
    minus: Literal["none", "window", "person", "slope"] = "none"

    @property
    def label(self) -> str:
        """Name of its losses in logs: says what is subtracted."""
        return self.name if self.minus == "none" else f"{self.name}_minus_{self.minus}"


class LogCovarianceTarget(TargetBase):
    """Covariance of the patch's channel with ten places on the scalp, in four bands, over the whole window.

    Args:
        shrinkage: Share of a multiple of the identity in each band's covariance, before its logarithm.
    """

    implementation: ClassVar[str] = f"{_ROOM}.log_covariance:LogCovariance"

    name: Literal["log_covariance"] = "log_covariance"
    shrinkage: float = Field(default=0.1, ge=0.01, le=1)


class AmplitudePhaseTarget(TargetBase):
    """Fourier amplitudes of a patch, and the sine and cosine of its phases, which count by their amplitudes."""

    implementation: ClassVar[str] = f"{_ROOM}.amplitude_phase:AmplitudePhase"

    name: Literal["amplitude_phase"] = "amplitude_phase"


class CodesTarget(TargetBase):
    """Code of a patch in the codebook of a tokenizer (LaBraM, arXiv 2405.18765): a class, by cross entropy."""

    implementation: ClassVar[str] = f"{_ROOM}.codes:Codes"
    needs_tokenizer: ClassVar[bool] = True

    name: Literal["codes"] = "codes"


TargetConfig = Annotated[
    SignalTarget
    | NormalizedSignalTarget
    | LogSpectrumTarget
    | LogCovarianceTarget
    | AmplitudePhaseTarget
    | CodesTarget,
    Field(discriminator="name"),
]
"""Union of the targets."""


def _listed(value: Any) -> Any:
    """A name, the options of one target, or a list of such, as a list of options."""
    alone = isinstance(value, str | Mapping | TargetBase)
    if not (alone or isinstance(value, Iterable)):
        return value
    return tuple({"name": one} if isinstance(one, str) else one for one in ((value,) if alone else value))


def _unlike(targets: tuple[TargetBase, ...]) -> tuple[TargetBase, ...]:
    refuse_repeated([target.label for target in targets], "target")
    return targets


Targets = Annotated[tuple[TargetConfig, ...], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_unlike)]
"""One target or several."""
