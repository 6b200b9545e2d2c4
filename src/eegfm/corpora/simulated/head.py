"""A simple head model: electrodes on a sphere, dipoles inside it, and potentials at the electrodes."""

from collections.abc import Sequence
from functools import lru_cache

import mne
import numpy as np
from mne.channels import make_standard_montage
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# fmt: off
TUH_NAMES = (
    "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T3", "T4", "T5", "T6", "A1", "A2",
    "Fz", "Cz", "Pz",
)
# fmt: on
"""The 21 electrodes of the clinical 10-20 recordings, by their old names."""

HBN_NAMES = (*(f"E{i}" for i in range(1, 129)), "Cz")
"""The 129 channels of the HydroCel net, the reference last."""

SOURCE_DEPTH_RATIO = 0.6
"""Radius of the cortical dipoles over that of the head.

From outside, a dipole at 0.6 in a homogeneous sphere looks like a cortical dipole (about 0.87) under a skull.
Source: Ary, Klein & Fender 1981, IEEE Trans Biomed Eng 28:447-452.
"""


@lru_cache(maxsize=2)
def _directions(montage: str) -> dict[str, FloatArray]:
    """Unit vectors from the centre of the sphere that fits a montage best to its electrodes."""
    dig = mne.channels.montage.transform_to_head(make_standard_montage(montage))
    positions = {name: np.asarray(p) for name, p in dig.get_positions()["ch_pos"].items()}
    points = np.array(list(positions.values()))
    design = np.c_[2 * points, np.ones(len(points))]
    centre = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0][:3]
    return {name: (p - centre) / np.linalg.norm(p - centre) for name, p in positions.items()}


def electrode_directions(names: Sequence[str]) -> FloatArray:
    """Place electrodes on the unit sphere.

    Args:
        names: HydroCel names (``E1`` ... ``E128``, ``Cz``) or 10-05 names. A lone list of 10-05 names may hold ``Cz``.

    Returns:
        (C, 3) unit vectors, head frame (x right, y front, z up).
    """
    table = _directions("GSN-HydroCel-129" if "E1" in names else "colin27_1005")
    return np.array([table[name] for name in names])


def dipole_potential(electrodes: FloatArray, sources: FloatArray, moments: FloatArray) -> FloatArray:
    """Compute the potential of current dipoles at the surface of a homogeneous conducting unit sphere.

    Closed form of the Neumann problem: the potential of a point source at r0, seen at the surface point r with
    d = |r - r0|, is 2/d - ln(1 - r.r0 + d) up to a constant and the factor 1/(4 pi sigma); the dipole's potential is
    the moment times its gradient in r0 (Brody, Terry & Ideker 1973, IEEE Trans Biomed Eng 20:141-143).

    Args:
        electrodes: (C, 3) unit vectors.
        sources: (S, 3) positions, radius below 1.
        moments: (S, 3) dipole moments.

    Returns:
        (C, S) potentials, in units of 1/(4 pi sigma).
    """
    offset = electrodes[:, None, :] - sources[None, :, :]
    distance = np.linalg.norm(offset, axis=2)
    assert (np.linalg.norm(sources, axis=1) < 1).all(), "sources lie inside the sphere"
    denominator = distance + 1 - electrodes @ sources.T
    gradient = 2 * offset / distance[..., None] ** 3
    gradient += (offset / distance[..., None] + electrodes[:, None, :]) / denominator[..., None]
    return np.asarray(np.einsum("csk,sk->cs", gradient, moments))


def radial_gain(electrodes: FloatArray, directions: FloatArray, depth_ratio: float = SOURCE_DEPTH_RATIO) -> FloatArray:
    """Compute the gain of outward dipoles, scaled to 1 at the surface point right above each dipole.

    Args:
        electrodes: (C, 3) unit vectors.
        directions: (S, 3) unit vectors of the dipoles.
        depth_ratio: Radius of the dipoles over that of the head.

    Returns:
        (C, S) gains: microvolts at the electrode per microvolt above the source.
    """
    above = np.array([[0.0, 0.0, 1.0]])
    peak = dipole_potential(above, depth_ratio * above, above)
    return np.asarray(dipole_potential(electrodes, depth_ratio * directions, directions) / peak[0, 0])


def even_directions(n: int, lowest_z: float = -0.3) -> FloatArray:
    """Spread n directions evenly over the upper part of the unit sphere (Fibonacci spiral), as (n, 3) unit vectors."""
    index = np.arange(n) + 0.5
    z = 1 - index / n * (1 - lowest_z)
    angle = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)
