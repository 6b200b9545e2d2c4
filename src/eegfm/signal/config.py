"""Configurations of the signal path from a raw file to the store."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from eegfm.config import StrictModel

KnownUnit = Literal["V", "mV", "uV", "nV"]
Pattern = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class ReadParams(StrictModel):
    """Parameters of reading files, and the faults that are accepted.

    Attributes:
        units: Meaning of units as files write them, e.g. ``{uv: uV}``; the empty unit is ``""``. It counts also where
            the reader knows the unit: ``{mV: uV}`` for microvolts that are called mV. EEGLAB files state no unit, and
            uV stands for theirs: ``{uV: V}`` for samples in volts.
        salvage_truncated: Keep the whole records of a file that ends early, with a flag. If False, reject the file.
        bad_annotations: Patterns of annotations that call a stretch bad; ``*`` matches anything, case is ignored. The
            default has the patterns of MNE (``BAD_…`` and ``EDGE …``), of BrainVision (``Bad Interval``), and of MNE
            after an export to BrainVision. Empty for none.
        prefixes: Words before electrode names that mean nothing: ``POL`` of ``POL Fp1``. Case is ignored. They are
            taken off labels that are not understood otherwise.
        suffixes: Words behind electrode names that mean nothing: ``M1Ref`` of ``Fp1-M1Ref``.
        renames: Electrode of a label as written in the files, or null to leave its channel out:
            ``{Ch1: Fp1, X7: null}``. Case counts only where two renames differ in nothing else.
        max_memory_bytes: Most bytes that one file may take in memory. Formats that cannot be mapped (EEGLAB files with
            embedded data) are rejected above this limit, before anything is inflated.
        timeout_s: Seconds after which a worker process gives a file up.
    """

    units: dict[str, KnownUnit] = Field(default_factory=dict)
    salvage_truncated: bool = False
    bad_annotations: tuple[Pattern, ...] = ("bad*", "edge*", "comment/bad*", "comment/edge*")
    prefixes: tuple[Pattern, ...] = ()
    suffixes: tuple[Pattern, ...] = ()
    renames: dict[Pattern, Pattern | None] = Field(default_factory=dict)
    max_memory_bytes: int = Field(default=4 << 30, gt=0)
    timeout_s: float = Field(default=600.0, gt=0)


class SignalParams(StrictModel):
    """Filters, stored rate, and the least length and number of channels of a recording."""

    rate_hz: float = Field(default=100.0, gt=0, description="Rate of the stored signal.")
    low_hz: float = Field(default=0.5, gt=0, description="Lower edge of the pass band.")
    high_hz: float = Field(default=45.0, gt=0, description="Upper edge of the pass band.")
    notch_hz: float | None = Field(
        default=None, gt=0, description="Line frequency; it and its harmonics inside the band are removed."
    )
    min_duration_s: float = Field(default=4.0, gt=0, description="Shorter segments are left out.")
    min_channels: int = Field(default=8, ge=1, description="Recordings with fewer electrodes are rejected.")
    max_bad_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Recordings are rejected where more channel time is still or non-finite."
    )

    @model_validator(mode="after")
    def _band_fits_the_rate(self) -> Self:
        if not self.low_hz < self.high_hz < self.rate_hz / 2:
            raise ValueError(
                f"low_hz={self.low_hz:g}, high_hz={self.high_hz:g}, rate_hz={self.rate_hz:g}: "
                "low_hz < high_hz < rate_hz / 2 must hold; lower high_hz or raise rate_hz"
            )
        return self
