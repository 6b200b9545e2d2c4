"""Calibration of EDF channels: from digital values to microvolts, checked across channels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eegfm.signal.config import KnownUnit
from eegfm.signal.edf.fields import Fields
from eegfm.signal.units import given_unit, unit_uv

# If at least this share of the electrodes has one value, all of them should.
CONSENSUS_RATIO = 2 / 3
# If at least this share of the electrodes has one calibration, it is one of the few calibrations of the amplifier.
KIND_RATIO = 1 / 4
# One amplifier records all electrodes with similar gains. A wrong prefix of a unit is a factor of a thousand.
MAX_SHARED_GAIN_RATIO = 30.0
# Some writers fit the range of each channel to its data. The ranges of a still and of a drifting electrode then differ
# by a factor of thousands.
MAX_FITTED_GAIN_RATIO = 1e5
# Electrodes polarise by tenths of a volt at most.
MAX_OFFSET_UV = 1e6


class Calibration(NamedTuple):
    """Calibration of one channel: a straight line from digital to physical values through two points.

    Args:
        unit_uv: The unit in microvolts.
        physical_min: Physical value of ``digital_min``, in that unit. It may be above ``physical_max``: then a rising
            digital value is a falling voltage.
        physical_max: Physical value of ``digital_max``.
        digital_min: Lowest digital value.
        digital_max: Highest digital value.
    """

    unit_uv: float
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int

    @property
    def gain_uv(self) -> float:
        """Microvolts per digital step; negative where the physical range is inverted."""
        span = self.physical_max - self.physical_min
        return span * self.unit_uv / (self.digital_max - self.digital_min)

    @property
    def offset_uv(self) -> float:
        """Microvolts of digital zero."""
        return self.physical_min * self.unit_uv - self.digital_min * self.gain_uv

    @property
    def middle_uv(self) -> float:
        """Microvolts in the middle of the range."""
        return (self.physical_min + self.physical_max) / 2 * self.unit_uv


def calibration(
    fields: Fields, text: Mapping[str, str], sample_bytes: int, units: Mapping[str, KnownUnit]
) -> Calibration:
    """Parse and check the calibration of one channel.

    Args:
        fields: Parses numbers.
        text: The channel's header fields.
        sample_bytes: 2 for EDF, 3 for BDF.
        units: Configured meanings of units.

    Raises:
        RecordingError: ``not_a_number digital_range physical_range unknown_unit``.
    """
    label = text["label"]
    pmin = fields.decimal(text["physical minimum"], f"physical minimum of {label!r}")
    pmax = fields.decimal(text["physical maximum"], f"physical maximum of {label!r}")
    dmin = fields.integer(text["digital minimum"], f"digital minimum of {label!r}")
    dmax = fields.integer(text["digital maximum"], f"digital maximum of {label!r}")
    limit = 1 << (8 * sample_bytes - 1)
    if not -limit <= dmin < dmax < limit:
        raise fields.fail(
            "digital_range", f"digital range of {label!r} is {dmin} to {dmax}, within ±{limit} and rising is allowed"
        )
    if pmin == pmax:
        raise fields.fail("physical_range", f"physical minimum and maximum of {label!r} are both {pmin:g}")
    return Calibration(_unit_uv(fields, text["unit"], label, units), pmin, pmax, dmin, dmax)


def _unit_uv(fields: Fields, unit: str, label: str, units: Mapping[str, KnownUnit]) -> float:
    found_uv = unit_uv(unit, units)
    if found_uv is not None:
        if given_unit(unit, units):
            fields.flags.add("unit_taken_from_parameters")
        return found_uv
    raise fields.fail(
        "unknown_unit",
        f"unit of {label!r} is {unit!r}; known: V, mV, uV, µV, nV",
        f"say which of them is meant in ingest.reading.units, as {{{unit!r}: …}}, if you know it",
    )


def check_electrodes(fields: Fields, calibrations: Mapping[str, Calibration]) -> None:
    """Compare the calibrations of a file's electrodes. Other channels, such as ECG or temperature, do not count.

    A recording has one calibration for all electrodes, a few calibrations, or one fitted to each channel's data. In all
    three cases a damaged field stands out: an electrode differs from most others in this field alone, has the opposite
    sign, or another order of magnitude.

    Args:
        fields: Collects flags.
        calibrations: By label, electrodes only.

    Raises:
        RecordingError: ``gain_disagrees``, or ``implausible_offset`` for a range that no electrode reaches.
    """
    for label, each in calibrations.items():
        if abs(each.middle_uv) > max(MAX_OFFSET_UV, abs(each.gain_uv) * (each.digital_max - each.digital_min) / 2):
            raise fields.fail(
                "implausible_offset",
                f"{label!r} ranges around {each.middle_uv * 1e-6:g} V, up to {MAX_OFFSET_UV * 1e-6:g} V is allowed",
            )
    if any(each.gain_uv < 0 for each in calibrations.values()):
        fields.flags.add("inverted_physical_range")
    if len(calibrations) < 2:
        return
    models = _models(list(calibrations.values()))
    median_uv = float(np.median([each.gain_uv for each in calibrations.values()]))
    is_one_for_all = any(len(model) == len(Calibration._fields) for model in models) and len(calibrations) > 2
    max_ratio = MAX_SHARED_GAIN_RATIO if is_one_for_all else MAX_FITTED_GAIN_RATIO
    for label, each in calibrations.items():
        ratio = each.gain_uv / median_uv if median_uv else 0.0
        if not 1 / max_ratio <= ratio <= max_ratio:
            found = f"has {each.gain_uv:g} µV per digital step, the median of the electrodes is {median_uv:g}"
            raise fields.fail("gain_disagrees", f"{label!r} {found}")
        slip = _slip(each, models, is_usual=1 / MAX_SHARED_GAIN_RATIO <= ratio <= MAX_SHARED_GAIN_RATIO)
        if slip:
            found = f"alone has a {slip.replace('_', ' ')} of {getattr(each, slip):g}"
            raise fields.fail("gain_disagrees", f"{label!r} {found}; in all else it is like other electrodes")


def check_decimals(fields: Fields, electrodes: Sequence[Mapping[str, str]]) -> None:
    """Refuse mixed decimal separators. A writer uses one separator, so a comma among points is damage.

    Raises:
        RecordingError: Physical limits of electrodes have both (``mixed_decimals``).
    """
    limits = [(text["label"], text[f"physical {end}"]) for text in electrodes for end in ("minimum", "maximum")]
    with_comma = [f"{value!r} of {label!r}" for label, value in limits if "," in value]
    if with_comma and any("." in value for _, value in limits):
        raise fields.fail("mixed_decimals", f"physical limit {with_comma[0]} has a comma, others have a point")


def _models(calibrations: Sequence[Calibration]) -> list[dict[str, Any]]:
    """Expected calibrations of an electrode: values by field, for some or all fields."""
    if len(calibrations) == 2:
        # Either of the two may be damaged. The first stands for both.
        return [calibrations[0]._asdict()]
    n = len(calibrations)
    kinds = Counter(calibrations)
    models = [each._asdict() for each, n_each in kinds.items() if n_each >= max(2, KIND_RATIO * n)]
    shared = {}
    for name, values in zip(Calibration._fields, zip(*calibrations, strict=True), strict=True):
        value, n_each = Counter(values).most_common(1)[0]
        if n_each >= CONSENSUS_RATIO * n:
            shared[name] = value
    return [*models, shared]


def _slip(each: Calibration, models: Sequence[Mapping[str, Any]], *, is_usual: bool) -> str:
    """The one field in which an electrode differs from the expected calibrations; empty for no or several fields."""
    if each._asdict() in models:
        return ""
    for model in models:
        differing = [name for name, value in model.items() if getattr(each, name) != value]
        # Volts beside millivolts are no fault if the range of the channel compensates for the unit.
        is_made_up_for = differing == ["unit_uv"] and "physical_max" not in model and is_usual
        if len(differing) == 1 and not is_made_up_for:
            return differing[0]
    return ""
