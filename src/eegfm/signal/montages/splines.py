"""Spherical splines, which interpolate potentials between electrodes.

Perrin, Pernier, Bertrand and Echallier (1989), "Spherical splines for scalp potential and current density mapping",
Electroencephalography and Clinical Neurophysiology 72:184-187, with the corrigenda of 1990 (76:565).
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legval
from numpy.typing import NDArray

from eegfm.recording import Montage
from eegfm.signal.montages.layouts import MNE_MONTAGES, Layout, electrode_table, is_scalp

Floats = NDArray[np.float64]

_ORDER = 4  # m of the paper: the smoothness of the spline
_N_TERMS = 50  # terms of the Legendre series; term 51 is below 1e-12 of the first
_SANE_RADII_M = (0.06, 0.14)
# Nets without their vertex are subsets of nets with it.
_TEMPLATES: tuple[Layout, ...] = tuple(name for name in MNE_MONTAGES if name not in ("gsn64", "gsn128", "gsn256"))


class Sphere(NamedTuple):
    """The sphere that stands for a head."""

    centre_m: Floats
    radius_m: float


STANDARD_SPHERE = Sphere(np.array([0.0, 0.0, 0.04]), 0.09)
"""Sphere for electrodes that determine none, with MNE's centre and radius."""


def spline_matrix(sources: Floats, targets: Floats, regularisation: float = 1e-5) -> Floats:
    """Matrix that interpolates potentials at target positions from potentials at electrodes.

    Rows sum to one. A potential that is the same everywhere therefore stays the same, whatever the reference.

    Args:
        sources: (C, 3) directions of the electrodes from the centre of the head, of any length.
        targets: (K, 3) directions of the target positions.
        regularisation: Term added to the diagonal of the kernel. A larger term gives a smoother spline that misses the
            values. With 0 it goes through every value; MNE takes 1e-5.

    Returns:
        (K, C) float64.
    """
    at, asked = _unit(sources), _unit(targets)
    n = len(at)
    # [G 1; 1' 0] [weights; constant] = [values; 0]: the weights of a spline sum to zero.
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = _kernel(at @ at.T) + regularisation * np.eye(n)
    system[n, n] = 0.0
    at_targets = np.concatenate((_kernel(asked @ at.T), np.ones((len(asked), 1))), axis=1)
    matrix = np.linalg.solve(system, at_targets.T).T[:, :n]  # the system is symmetric
    return matrix.astype(np.float64)


def directions(montage: Montage) -> Floats:
    """(C, 3) unit vectors from the centre of the head to each electrode."""
    return _unit(_positions_m(montage) - head_sphere(montage).centre_m)


def head_sphere(montage: Montage) -> Sphere:
    """The sphere behind a montage's electrodes.

    Electrodes of a template have the sphere of the whole template, whichever of them are used. The position of the head
    differs by a centimetre between templates, so no single centre serves all. Measured electrodes have the sphere that
    fits them best.
    """
    for layout in _TEMPLATES:
        if _is_of_template(montage, layout):
            return template_sphere(layout)
    return fitted_sphere(_positions_m(montage)[np.array(montage.is_scalp, dtype=bool)])


@cache
def template_sphere(layout: Layout) -> Sphere:
    """The sphere that fits all scalp electrodes of a template best."""
    table = electrode_table(layout)
    points = np.array([electrode.position_m for electrode in table.values()])
    return fitted_sphere(points[np.array(is_scalp(table, layout))])


def fitted_sphere(points_m: Floats) -> Sphere:
    """The least-squares sphere of (N, 3) points; the standard sphere if they determine none.

    |p|² = 2 p·c + (r² - |c|²) is linear in the centre c and the constant.
    """
    design = np.concatenate((2 * points_m, np.ones((len(points_m), 1))), axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, (points_m**2).sum(axis=1), rcond=1e-4)
    radius_m = float(np.sqrt(max(solution[3] + solution[:3] @ solution[:3], 0.0)))
    if rank < 4 or not _SANE_RADII_M[0] <= radius_m <= _SANE_RADII_M[1]:
        return STANDARD_SPHERE
    return Sphere(solution[:3], radius_m)


def _kernel(cosines: Floats) -> Floats:
    """The function g of the paper: a sum over Legendre polynomials of the cosine between two directions."""
    n = np.arange(1, _N_TERMS + 1, dtype=np.float64)
    series = np.concatenate(([0.0], (2 * n + 1) / (n * (n + 1)) ** _ORDER / (4 * np.pi)))
    values: Floats = legval(cosines.clip(-1.0, 1.0), series)
    return values


def _is_of_template(montage: Montage, layout: Layout) -> bool:
    if montage.is_digitized:
        return False
    table = electrode_table(layout)
    named = zip(montage.channel_names, montage.positions_m, strict=True)
    return all(name in table and np.allclose(table[name].position_m, place, atol=1e-4) for name, place in named)


def _positions_m(montage: Montage) -> Floats:
    return np.asarray(montage.positions_m, dtype=np.float64).reshape(-1, 3)


def _unit(vectors: Floats) -> Floats:
    lengths: Floats = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return vectors / lengths
