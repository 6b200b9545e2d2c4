"""Units of potential: what a unit in a file means in microvolts."""

from collections.abc import Mapping

from eegfm.signal.config import KnownUnit

MICRO_SIGNS = "\u00b5\u03bc"
# The spelling must be exact: 'UV' or 'uv' may be a misspelt uV or another unit, which differ by a factor of a million.
UNITS_UV: dict[str, float] = {"V": 1e6, "mV": 1e3, "uV": 1.0, "nV": 1e-3} | dict.fromkeys(
    [f"{micro}V" for micro in MICRO_SIGNS], 1.0
)


def unit_key(unit: str) -> str:
    """One spelling for units that differ in the micro sign alone: ``µV`` is ``uV``."""
    return unit.translate(dict.fromkeys(map(ord, MICRO_SIGNS), "u"))


def given_unit(unit: str, units: Mapping[str, KnownUnit]) -> KnownUnit | None:
    """The configured meaning of a unit, which may be one that is known; None if it is not configured."""
    return units.get(unit) or {unit_key(name): meaning for name, meaning in units.items()}.get(unit_key(unit))


def unit_uv(unit: str, units: Mapping[str, KnownUnit]) -> float | None:
    """Microvolts of a unit, as configured or else as it says; None if neither tells."""
    given = given_unit(unit, units)
    return UNITS_UV.get(unit) if given is None else UNITS_UV[given]


def unit_of(microvolts: float) -> str | None:
    """The known unit of this size; None if there is none."""
    return next((name for name, size in UNITS_UV.items() if abs(size / microvolts - 1) < 1e-6), None)
