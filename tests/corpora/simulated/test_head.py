import numpy as np
import pytest
from scipy.special import eval_legendre

from eegfm.corpora.simulated.head import (
    HBN_NAMES,
    TUH_NAMES,
    dipole_potential,
    electrode_directions,
    even_directions,
    radial_gain,
)


def _monopole_series(electrode: np.ndarray, source: np.ndarray) -> float:
    """Surface potential of a point source in a unit sphere with an insulated surface, by spherical harmonics."""
    radius = np.linalg.norm(source)
    cosine = electrode @ source / radius
    order = np.arange(1, 200)
    return float(np.sum((2 * order + 1) / order * radius**order * eval_legendre(order, cosine)))


def test_dipole_potential_is_the_gradient_of_the_series_solution() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        electrode = rng.standard_normal(3)
        electrode /= np.linalg.norm(electrode)
        source, moment = rng.uniform(-0.45, 0.45, 3), rng.standard_normal(3)
        step = 1e-5 * moment
        series = (_monopole_series(electrode, source + step) - _monopole_series(electrode, source - step)) / 2e-5
        found = dipole_potential(electrode[None], source[None], moment[None])[0, 0]
        assert found == pytest.approx(series, rel=1e-5, abs=1e-5)


def test_radial_gain_is_one_above_the_source_and_falls_with_distance() -> None:
    angle = np.linspace(0, np.pi, 50)
    electrodes = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
    gain = radial_gain(electrodes, np.array([[0.0, 0.0, 1.0]]))[:, 0]
    assert gain[0] == pytest.approx(1)
    assert (np.diff(gain) < 0).all()
    assert gain[-1] < 0


def test_both_layouts_agree_where_they_share_a_place() -> None:
    pairs = {"E75": "Oz", "Cz": "Cz", "E36": "C3", "E104": "C4", "E11": "Fz", "E62": "Pz"}
    net = electrode_directions(HBN_NAMES)
    for hydrocel, name in pairs.items():
        cosine = net[HBN_NAMES.index(hydrocel)] @ electrode_directions([name])[0]
        assert cosine > np.cos(np.deg2rad(20)), hydrocel


def test_axes_are_those_of_the_head_frame() -> None:
    place = dict(zip(TUH_NAMES, electrode_directions(TUH_NAMES), strict=True))
    assert place["T4"][0] > 0.8  # right
    assert place["Fz"][1] > 0.4  # front
    assert place["Cz"][2] > 0.9  # up


def test_even_directions_are_unit_and_even() -> None:
    points = even_directions(48)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(48)
    nearest = distance.min(axis=1)
    assert nearest.min() > 0.5 * nearest.max()
    assert points[:, 2].min() > -0.31
