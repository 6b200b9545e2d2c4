"""``electrodes.tsv`` and ``coordsystem.json`` of EEG-BIDS: measured electrode positions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from eegfm.corpora.bids_channels import channel_key
from eegfm.corpora.bids_sidecars import inherited, nearest, read_json
from eegfm.corpora.side_faults import not_understood, not_utf8, rows_left_out, unreadable
from eegfm.corpora.text_tables import read_table
from eegfm.recording import Montage
from eegfm.signal.montages.electrodes import ResolvedChannels
from eegfm.signal.text import stripped

PositionSource = Literal["template", "electrodes_tsv"]
Units = Literal["m", "cm", "mm"]
Position = tuple[float, float, float]
ELECTRODES_TSV = "electrodes.tsv"
COORDSYSTEM_JSON = "coordsystem.json"

SPACES = ("", "CapTrak", "EEGLAB")
"""Values of the entity ``space`` that MNE-BIDS and EEGLAB write and that are searched for; "" means no entity."""
HEAD_FRAMES = frozenset({"captrak", "elektaneuromag"})
"""Systems with the axes of the head frame. All others need the three landmarks."""
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_FIT_IN = "positions_fit_in"
LANDMARKS = ("NAS", "LPA", "RPA")
# Heads differ by a centimetre or two. A wrong unit, axis or origin gives far larger differences.
MAX_MEDIAN_ERROR_M = 0.04
RADII_M = (0.05, 0.2)
MIN_FROM_ORIGIN_M = 0.04
"""The origin lies between the ears, at least 0.075 m from the electrodes of all templates."""
HEAD_CENTRE_M = (0.0, 0.015, 0.06)
"""Approximate centre of the electrodes of the 10-05 system. Its electrodes lie 0.076 to 0.128 m away."""


class Measured(NamedTuple):
    """Measured positions of one recording's electrodes.

    Args:
        positions_m: Positions by ``channel_key``, in the head frame; empty if none can be used.
        flags: Reasons why no position can be used, and faults of the files.
    """

    positions_m: Mapping[str, Position]
    flags: tuple[str, ...] = ()


def position_files(path: str) -> tuple[str, ...]:
    """All paths where measured positions may be found."""
    endings = [f"{_space(space)}{suffix}" for space in SPACES for suffix in (ELECTRODES_TSV, COORDSYSTEM_JSON)]
    return tuple(place for ending in endings for place in inherited(path, ending))


def read_positions(path: Path, template_m: Mapping[str, Position], units: Units | None = None) -> Measured:
    """Measured positions of a recording's electrodes, in metres in MNE's head frame.

    Positions are used if two conditions hold. Their coordinate system is the head frame, or has nasion and both ears.
    And they lie on a plausible head, not far from the template. If they would do so in other units, a flag names these
    (``positions_fit_in:<units>``): the stated units are then wrong. They are not replaced without ``units``.

    Args:
        path: The recording.
        template_m: Positions of the recording's electrodes in the template, in metres, as far as it has them.
        units: Units of the coordinates; by default those of ``coordsystem.json``.
    """
    found = next(
        ((space, file) for space in SPACES if (file := nearest(path, f"{_space(space)}{ELECTRODES_TSV}"))), None
    )
    if found is None:
        return Measured({}, ("no_electrodes_tsv",))
    space, table = found
    points, flags = _read_points(table)
    system, system_flags = _read_system(nearest(path, f"{_space(space)}{COORDSYSTEM_JSON}"))
    flags += system_flags
    moved = _to_head_frame(points, _in_units(system, units))
    why = "coordinate_system" if moved is None else "" if _plausible(moved, template_m) else "implausible"
    if moved is None or why:
        others = [u for u in get_args(Units) if u != units and _fits(points, _in_units(system, u), template_m)]
        return Measured({}, (*flags, f"positions_unusable:{why}", *(f"{_FIT_IN}:{u}" for u in others)))
    # Round to a hundredth of a millimetre, because the montage's name must not depend on the last bit.
    rounded = {key: (round(x, 5), round(y, 5), round(z, 5)) for key, (x, y, z) in moved.items()}
    return Measured(rounded, flags)


def _fits(
    points: Mapping[str, NDArray[np.float64]], system: Mapping[str, Any], template_m: Mapping[str, Position]
) -> bool:
    moved = _to_head_frame(points, system)
    return moved is not None and _plausible(moved, template_m)


def _in_units(system: Mapping[str, Any], units: Units | None) -> Mapping[str, Any]:
    """A coordinate system with other units. Landmarks that have the units of the electrodes change with them."""
    if units is None:
        return system
    stated, marks = (_word(system, f"{start}CoordinateUnits") for start in ("EEG", "AnatomicalLandmark"))
    changed = {"EEGCoordinateUnits": units}
    return {**system, **changed, **({"AnatomicalLandmarkCoordinateUnits": units} if marks == stated else {})}


def place(
    resolved: ResolvedChannels, labels: Sequence[str], measured: Mapping[str, Position], source: PositionSource
) -> ResolvedChannels:
    """Use measured positions, for all electrodes with one, or only for electrodes that the template lacks.

    Args:
        resolved: Electrodes that the template knows.
        labels: Labels of the file.
        measured: Positions in metres, by ``channel_key``.
        source: ``"electrodes_tsv"`` for all electrodes, ``"template"`` for electrodes that the template lacks.
    """
    montage, new = resolved.montage, lacking(resolved, labels, measured)
    known = dict(zip(montage.channel_names, montage.positions_m, strict=True))
    moved = {name: measured[name] for name in known if name in measured} if source == "electrodes_tsv" else {}
    if not (new or moved):
        return resolved
    names = (*known, *new)
    return replace(
        resolved,
        picks=(*resolved.picks, *new.values()),
        montage=Montage(
            channel_names=names,
            positions_m=tuple((known | moved | {name: measured[name] for name in new})[name] for name in names),
            is_scalp=(*montage.is_scalp, *(True for _ in new)),
            reference=montage.reference,
            is_digitized=True,
        ),
        not_understood=tuple(label for label in resolved.not_understood if channel_key(label) not in new),
    )


def lacking(resolved: ResolvedChannels, labels: Sequence[str], measured: Mapping[str, Position]) -> dict[str, int]:
    """Index in the file of each measured electrode that the template lacks, by name, sorted by name."""
    unknown = set(resolved.not_understood)
    found = {channel_key(label): i for i, label in enumerate(labels) if label in unknown}
    return {key: found[key] for key in sorted(found) if key in measured}


def other_units(flags: Sequence[str]) -> str:
    """Advice about positions that only fit a head in other units than the stated ones; "" without such a flag."""
    units = next((flag.partition(":")[2] for flag in flags if flag.startswith(_FIT_IN)), "")
    return (
        f"{ELECTRODES_TSV} has positions that lie on a head in {units}, and not in the units that are stated: correct "
        f"EEGCoordinateUnits in {COORDSYSTEM_JSON}, or set corpus.position_units: {units}"
        if units
        else ""
    )


def _space(space: str) -> str:
    return f"space-{space}_" if space else ""


def _read_points(path: Path) -> tuple[dict[str, NDArray[np.float64]], tuple[str, ...]]:
    """(3,) coordinates by channel, as written, and flags. Electrodes without three numbers are left out."""
    try:
        table = read_table(path, ["name", "x", "y", "z"])
    except ValueError:
        return {}, (unreadable(ELECTRODES_TSV),)
    points, odd = {}, False
    for row in table.rows:
        xyz = [row[axis] for axis in ("x", "y", "z")]
        if row["name"] is None or None in xyz:
            continue
        try:
            point = np.array(xyz, dtype=np.float64)
        except ValueError:
            point = np.full(3, np.inf)
        if np.isfinite(point).all():
            points[channel_key(row["name"])] = point
        else:
            odd |= not np.isnan(point).any()
    flags = (
        *not_utf8(ELECTRODES_TSV, is_utf8=table.is_utf8),
        *rows_left_out(ELECTRODES_TSV, len(table.odd_lines)),
        *((not_understood(ELECTRODES_TSV, "xyz"),) if odd else ()),
    )
    return points, flags


def _read_system(path: Path | None) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """``coordsystem.json``, and flags. A file that cannot be read says nothing."""
    if path is None:
        return {}, ()
    try:
        found = read_json(path)
    except ValueError:
        return {}, (unreadable(COORDSYSTEM_JSON),)
    return found.values, not_utf8(COORDSYSTEM_JSON, is_utf8=found.is_utf8)


def _to_head_frame(points: Mapping[str, NDArray[np.float64]], system: Mapping[str, Any]) -> dict[str, Position] | None:
    """Positions in metres in the head frame; None if the transformation is unknown."""
    name, scale = _word(system, "EEGCoordinateSystem"), METRES.get(_word(system, "EEGCoordinateUnits"))
    if scale is None or not points:
        return None
    rotation, origin = np.eye(3), np.zeros(3)
    landmarks = _landmarks(system)
    if landmarks is not None:
        rotation, origin = _head_frame(*landmarks)
    elif name not in HEAD_FRAMES:
        return None
    moved = {key: rotation @ (point * scale - origin) for key, point in points.items()}
    return {key: (float(x), float(y), float(z)) for key, (x, y, z) in moved.items()}


def _word(system: Mapping[str, Any], key: str) -> str:
    """A word of ``coordsystem.json`` in lower case; "" if it is missing."""
    return stripped(str(system.get(key, ""))).lower()


def _landmarks(system: Mapping[str, Any]) -> list[NDArray[np.float64]] | None:
    """Nasion, left and right ear in metres, if given in the system of the electrodes."""
    electrodes = {key: _word(system, f"EEGCoordinate{key}") for key in ("System", "Units")}
    landmarks = {key: _word(system, f"AnatomicalLandmarkCoordinate{key}") or electrodes[key] for key in electrodes}
    if landmarks["System"] != electrodes["System"]:
        return None
    scale = METRES.get(landmarks["Units"])
    given = system.get("AnatomicalLandmarkCoordinates")
    if scale is None or not isinstance(given, Mapping):
        return None
    points = [np.atleast_1d(np.array(given.get(key, []))) for key in LANDMARKS]
    if any(p.shape != (3,) or p.dtype.kind not in "if" or not np.isfinite(p).all() for p in points):
        return None
    nasion, left, right = points
    # Landmarks on one line, or in one point, span no frame.
    if np.linalg.norm(np.cross(right - left, nasion - left)) * scale**2 < 1e-4:
        return None
    return [point * scale for point in points]


def _head_frame(
    nasion: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(3, 3) rotation into the head frame, whose x runs through the ears and y through the nasion; (3,) its origin."""
    x = (right - left) / np.linalg.norm(right - left)
    origin = left + np.dot(nasion - left, x) * x
    y = (nasion - origin) / np.linalg.norm(nasion - origin)
    return np.stack([x, y, np.cross(x, y)]), origin


def _plausible(positions_m: Mapping[str, Position], template_m: Mapping[str, Position]) -> bool:
    """True if all positions lie on a plausible head, and known electrodes lie near their template positions."""
    radii_m = [np.linalg.norm(np.subtract(p, HEAD_CENTRE_M)) for p in positions_m.values()]
    if not RADII_M[0] < min(radii_m) <= max(radii_m) < RADII_M[1]:
        return False
    if min(np.linalg.norm(p) for p in positions_m.values()) < MIN_FROM_ORIGIN_M:
        return False  # coordinates in metres that are taken for millimetres all lie at the origin
    errors_m = [np.linalg.norm(np.subtract(p, template_m[k])) for k, p in positions_m.items() if k in template_m]
    return not errors_m or float(np.median(errors_m)) < MAX_MEDIAN_ERROR_M
