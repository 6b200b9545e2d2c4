"""Spherical splines against MNE, against the defining equations, and on fields that are known."""

import mne
import numpy as np
import pytest
from mne.channels.interpolation import _make_interpolation_matrix

from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.splines import (
    STANDARD_SPHERE,
    directions,
    fitted_sphere,
    head_sphere,
    spline_matrix,
    template_sphere,
)

NAMES = ["1020_19", "1010_64", "gsn_129"]


def sources_and_targets(source: str, target: str) -> tuple[np.ndarray, np.ndarray]:
    return directions(canonical_montage(source)), directions(canonical_montage(target))


@pytest.mark.parametrize("bad", [["Cz"], ["Fp1", "P8", "Oz"], ["FC1", "FC2", "FCz", "C1", "C2", "Cz", "CPz"]])
def test_equals_mne_where_channels_are_missing(bad: list[str]) -> None:
    montage = canonical_montage("1010_64")
    names = list(montage.channel_names)
    info = mne.create_info(names, 100.0, "eeg").set_montage("colin27_1005")
    signal = np.random.default_rng(0).standard_normal((64, 40))
    raw = mne.io.RawArray(signal, info, verbose="error")
    raw.info["bads"] = bad
    centre = head_sphere(montage).centre_m
    expected = raw.interpolate_bads(origin=tuple(centre), verbose="error").get_data(bad)
    is_bad = np.isin(names, bad)
    places = np.stack([channel["loc"][:3] for channel in info["chs"]]) - centre
    matrix = spline_matrix(places[~is_bad], places[[names.index(name) for name in bad]])
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix @ signal[~is_bad], expected, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [("1020_19", "1010_64"), ("gsn_129", "1020_19"), ("1010_64", "gsn_129")])
@pytest.mark.parametrize("regularisation", [1e-5, 1e-3])
def test_equals_mne_between_montages(source: str, target: str, regularisation: float) -> None:
    sources, targets = sources_and_targets(source, target)
    expected = _make_interpolation_matrix(sources, targets, alpha=regularisation)
    np.testing.assert_allclose(spline_matrix(sources, targets, regularisation), expected, atol=1e-6)


def test_solves_the_equations_of_the_paper() -> None:
    """Legendre polynomials from their recursion, the system as it is printed, one value at a time."""
    rng = np.random.default_rng(1)
    sources, targets, values = rng.standard_normal((7, 3)), rng.standard_normal((3, 3)), rng.standard_normal(7)
    unit = [v / np.linalg.norm(v) for v in sources]

    def g(x: float) -> float:
        before, now, total = 1.0, x, 0.0
        for n in range(1, 200):
            total += (2 * n + 1) / (n**4 * (n + 1) ** 4) * now
            before, now = now, ((2 * n + 1) * x * now - n * before) / (n + 1)
        return total / (4 * np.pi)

    kernel = np.array([[g(float(a @ b)) for b in unit] for a in unit])
    system = np.block([[np.ones((7, 1)), kernel], [np.zeros((1, 1)), np.ones((1, 7))]])
    constant, *weights = np.linalg.solve(system, np.append(values, 0.0))
    expected = [
        constant + sum(w * g(float(t @ u) / np.linalg.norm(t)) for w, u in zip(weights, unit, strict=True))
        for t in targets
    ]
    np.testing.assert_allclose(spline_matrix(sources, targets, 0.0) @ values, expected, atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [("1020_19", "1010_64"), ("1020_21", "1010_64"), ("1010_64", "1020_19")])
def test_goes_through_the_electrodes_that_are_there(source: str, target: str) -> None:
    montages = canonical_montage(source), canonical_montage(target)
    names = [montage.channel_names for montage in montages]
    signal = np.random.default_rng(0).standard_normal((len(names[0]), 30))
    sources, targets = sources_and_targets(source, target)
    shared = sorted(set(names[0]) & set(names[1]))
    own = signal[[names[0].index(name) for name in shared]]
    rows = [names[1].index(name) for name in shared]
    np.testing.assert_allclose((spline_matrix(sources, targets, 0.0) @ signal)[rows], own, atol=1e-9)
    # Regularised, white noise is smoothed; the less, the weaker.
    misses = [np.abs((spline_matrix(sources, targets, r) @ signal)[rows] - own).max() for r in (1e-9, 1e-7, 1e-5)]
    assert misses[0] < 0.04
    assert misses[0] < misses[1] < misses[2]


def test_a_common_signal_stays_and_lengths_do_not_matter() -> None:
    sources, targets = sources_and_targets("gsn_129", "1010_64")
    matrix = spline_matrix(sources, targets)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-9)
    scaled = sources * np.random.default_rng(0).uniform(0.05, 2.0, size=(129, 1))
    np.testing.assert_allclose(spline_matrix(scaled, targets), matrix, atol=1e-9)


def test_the_order_of_electrodes_does_not_matter() -> None:
    sources, targets = sources_and_targets("1010_64", "1020_19")
    order = np.random.default_rng(0).permutation(64)
    expected = spline_matrix(sources, targets)
    np.testing.assert_allclose(spline_matrix(sources[order], targets), expected[:, order], atol=1e-9)


@pytest.mark.parametrize(("source", "target"), [("gsn_129", "1020_19"), ("1010_64", "1020_19"), ("1020_19", "1010_64")])
def test_a_smooth_field_is_found_between_templates(source: str, target: str) -> None:
    """Two dipole-like patterns, sampled by one montage, as another would have seen them."""
    sources, targets = sources_and_targets(source, target)

    def field(places: np.ndarray) -> np.ndarray:
        return np.stack([places @ [0.3, 0.9, 0.2], np.exp(2 * (places @ [-0.5, -0.7, 0.5]))], axis=1)

    found, expected = spline_matrix(sources, targets) @ field(sources), field(targets)
    assert (np.abs(found - expected).max(axis=0) < 0.12 * np.ptp(expected, axis=0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_electrodes_of_a_template_share_one_sphere(name: str) -> None:
    montage = canonical_montage(name)
    some = slice(None, None, 3)
    part = Montage(montage.channel_names[some], montage.positions_m[some], montage.is_scalp[some], "average")
    np.testing.assert_array_equal(directions(part), directions(montage)[some])


def test_templates_agree_on_where_electrodes_are_once_their_spheres_are_known() -> None:
    """EGI's own table of equivalents (Luu and Ferree 2005): each is the nearest electrode or a neighbour of it."""
    equal = {"Fp1": 22, "Fp2": 9, "F7": 33, "F3": 24, "Fz": 11, "F4": 124, "F8": 122, "T7": 45, "C3": 36, "C4": 104}
    equal |= {"T8": 108, "P7": 58, "P3": 52, "Pz": 62, "P4": 92, "P8": 96, "O1": 70, "O2": 83}
    ten_twenty, net = canonical_montage("1020_19"), canonical_montage("gsn_129")
    cosines = directions(ten_twenty) @ directions(net).T
    angles = np.degrees(np.arccos(cosines.clip(-1, 1)))
    rows = {name: angles[ten_twenty.channel_names.index(name)] for name in ten_twenty.channel_names}
    columns = {name: net.channel_names.index(f"E{k}") for name, k in equal.items()} | {"Cz": 128}
    assert max(rows[name][column] for name, column in columns.items()) < 17
    assert sum(int(rows[name].argmin()) == column for name, column in columns.items()) >= 12
    # A common centre would be wrong by more than a neighbour.
    places = [np.array(m.positions_m) - template_sphere("1005").centre_m for m in (ten_twenty, net)]
    units = [p / np.linalg.norm(p, axis=1, keepdims=True) for p in places]
    shared = np.degrees(np.arccos((units[0] @ units[1].T).clip(-1, 1)))
    assert shared[ten_twenty.channel_names.index("T8"), columns["T8"]] > 17


def test_a_sphere_is_fitted_exactly_or_not_at_all() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 3))
    centre = np.array([0.01, -0.02, 0.05])
    points = centre + 0.085 * points / np.linalg.norm(points, axis=1, keepdims=True)
    found = fitted_sphere(points)
    np.testing.assert_allclose(found.centre_m, centre, atol=1e-9)
    assert found.radius_m == pytest.approx(0.085)
    for undetermined in (points[:3], points[:1], points * [1, 1, 0], points * 10, np.repeat(points[:1], 9, axis=0)):
        assert fitted_sphere(undetermined) is STANDARD_SPHERE


def test_measured_electrodes_have_a_sphere_of_their_own() -> None:
    template = resolve_channels(list(canonical_montage("1010_64").channel_names), "1005").montage
    moved = np.array(template.positions_m) * 0.9 + [0.0, 0.01, 0.0]
    measured = Montage(template.channel_names, tuple(map(tuple, moved)), template.is_scalp, "average", True)
    assert head_sphere(measured).radius_m == pytest.approx(0.9 * fitted_sphere(np.array(template.positions_m)).radius_m)
    assert head_sphere(template) is template_sphere("1005")
