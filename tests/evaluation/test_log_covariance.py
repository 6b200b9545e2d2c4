import numpy as np
import pytest
from scipy.linalg import logm
from scipy.signal import csd

from eegfm.errors import ConfigError
from eegfm.evaluation.band_power import BANDS_HZ, log_band_power
from eegfm.evaluation.log_covariance import BANDS, SITES, log_covariance, pooled_to_sites
from eegfm.signal.montages.canonical import canonical_montage

RATE_HZ = 100.0


def noise(*shape, seed=0):
    """Noise whose channels vary together."""
    rng = np.random.default_rng(seed)
    return 10 * rng.normal(size=shape) + 8 * rng.normal(size=(*shape[:-2], 1, shape[-1]))


def everywhere(signal_uv):
    return np.ones(signal_uv.shape[:2], dtype=bool)


def matrices(features, n_channels):
    """(B, N, C, C) from features."""
    upper = features.reshape(len(features), len(BANDS), -1)
    rows, columns = np.triu_indices(n_channels)
    found = np.zeros((*upper.shape[:2], n_channels, n_channels))
    found[..., rows, columns] = upper / np.where(rows == columns, 1, np.sqrt(2))
    return found + np.triu(found, 1).swapaxes(-1, -2)


def by_hand(signal_uv):
    """(N, C, C) logarithms from scipy's cross-spectra, pair by pair."""
    n = len(signal_uv)
    found = []
    for low_hz, high_hz in (BANDS_HZ[band] for band in BANDS):
        covariance = np.empty((n, n))
        for i in range(n):
            for j in range(n):
                hz, density = csd(signal_uv[i], signal_uv[j], RATE_HZ, nperseg=100)
                covariance[i, j] = density.real[(hz >= low_hz) & (hz < high_hz)].sum()
        shrunk = 0.9 * covariance + 0.1 * (np.trace(covariance) / n + 1e-6) * np.eye(n)
        found.append(logm(shrunk))
    return np.array(found)


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # by 1e-13
def test_equals_scipys_cross_spectra_and_logarithm():
    signal_uv = noise(3, 5, 200)
    found, is_known = log_covariance(signal_uv, RATE_HZ, everywhere(signal_uv))
    assert is_known.all()
    for window, matrix in zip(signal_uv, matrices(found, 5), strict=True):
        np.testing.assert_allclose(matrix, by_hand(window), atol=1e-4)


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")
def test_distances_of_features_are_those_of_matrices():
    signal_uv = noise(2, 4, 200)
    found, _ = log_covariance(signal_uv, RATE_HZ, everywhere(signal_uv))
    one, two = (by_hand(window) for window in signal_uv)
    assert np.linalg.norm(found[0] - found[1]) == pytest.approx(np.linalg.norm(one - two), rel=1e-5)


def test_a_single_channel_has_its_band_power():
    signal_uv = noise(4, 1, 300)
    found, _ = log_covariance(signal_uv, RATE_HZ, everywhere(signal_uv))
    np.testing.assert_allclose(found / np.log(10), log_band_power(signal_uv, RATE_HZ)[:, 0, :4], atol=1e-5)


def test_an_unknown_channel_leaves_the_others_as_without_it():
    signal_uv = noise(70, 4, 200)
    is_known = everywhere(signal_uv)
    is_known[::2, 2] = False
    found, is_pair_known = log_covariance(signal_uv, RATE_HZ, is_known)
    without, _ = log_covariance(np.delete(signal_uv, 2, axis=1), RATE_HZ, np.ones((70, 3), dtype=bool))
    whole, _ = log_covariance(signal_uv, RATE_HZ, everywhere(signal_uv))
    np.testing.assert_array_equal(is_pair_known.sum(axis=1)[:2], [4 * 6, 4 * 10])
    np.testing.assert_allclose(found[::2][is_pair_known[::2]].reshape(35, -1), without[::2], atol=1e-6)
    np.testing.assert_array_equal(found[1::2], whole[1::2])


def test_average_reference_flat_windows_and_windows_without_channels_are_finite():
    signal_uv = noise(3, 6, 200)
    signal_uv -= signal_uv.mean(axis=1, keepdims=True)
    signal_uv[1] = 0.0
    is_known = everywhere(signal_uv)
    is_known[2] = False
    found, is_pair_known = log_covariance(signal_uv, RATE_HZ, is_known)
    assert np.isfinite(found).all()
    assert is_pair_known.any(axis=1).tolist() == [True, True, False]


def test_short_windows_are_refused():
    with pytest.raises(ConfigError, match="windows of 99 samples at 100 Hz do not resolve bands"):
        log_covariance(np.zeros((1, 2, 99)), RATE_HZ, np.ones((1, 2), dtype=bool))


def _on(montage_name, values):
    """A field over the head, as the channels of a montage see it."""
    montage = canonical_montage(montage_name)
    places = np.broadcast_to(montage.positions(), (1, montage.n_channels, 3))
    return values(montage.positions())[None], places, np.ones((1, montage.n_channels), dtype=bool)


def test_sites_of_all_montages_see_a_smooth_field_alike():
    def front_to_back(positions_m):
        return (positions_m[:, 1:2] * 1000).repeat(3, axis=1)

    fields = [pooled_to_sites(*_on(name, front_to_back)) for name in ("1020_19", "1010_64", "gsn_129")]
    for pooled, is_known in fields:
        assert is_known.shape == (1, len(SITES))
        assert is_known.all()
        np.testing.assert_allclose(pooled, fields[0][0], atol=20)  # mm, over a head of 200
        assert pooled[0, 1].mean() > pooled[0, 4].mean() > pooled[0, 7].mean() > pooled[0, 9].mean()


def test_a_site_is_an_average_of_known_channels_nearby():
    signal_uv, places_m, is_known = _on("1020_19", lambda positions_m: np.full((len(positions_m), 2), 7.0))
    names = canonical_montage("1020_19").channel_names
    back = [name.startswith(("O", "P")) for name in names]
    is_known[0, back] = False
    signal_uv[0, back] = 1e6
    unplaced = places_m.copy()
    unplaced[0, names.index("C3")] = np.nan
    for places in (places_m, unplaced):
        pooled, is_site_known = pooled_to_sites(signal_uv, places, is_known)
        assert is_site_known[0].tolist() == [True] * 6 + [False] * 4
        np.testing.assert_allclose(pooled[0, :6], 7.0)
