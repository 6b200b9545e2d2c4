"""Canonical montages: electrodes, order, places."""

from typing import get_args

import numpy as np
import pytest

from eegfm.signal.montages.canonical import CanonicalName, canonical_montage, spread_montage
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.montages.splines import template_sphere
from eegfm.signal.open import open_reader

SIZES = {"1020_19": 19, "1020_21": 21, "1010_64": 64, "gsn_129": 129}


def test_every_name_has_its_number_of_electrodes() -> None:
    assert set(get_args(CanonicalName)) == set(SIZES)
    for name, n_channels in SIZES.items():
        assert canonical_montage(name).n_channels == n_channels
        assert canonical_montage(name) is canonical_montage(name)


@pytest.mark.parametrize("name", SIZES)
def test_they_are_what_a_file_with_these_labels_would_have(name: str) -> None:
    montage = canonical_montage(name)
    resolved = resolve_channels(montage.channel_names[::-1], "gsn129" if name == "gsn_129" else "1005").montage
    assert resolved.channel_names == montage.channel_names
    assert resolved.positions_m == montage.positions_m
    assert resolved.is_scalp == montage.is_scalp


def test_ears_are_electrodes_off_the_scalp() -> None:
    montage = canonical_montage("1020_21")
    ears = [name for name, is_scalp in zip(montage.channel_names, montage.is_scalp, strict=True) if not is_scalp]
    assert ears == ["A1", "A2"]
    assert all(canonical_montage("1020_19").is_scalp)


def test_the_64_are_those_of_eegmmidb(shared_data) -> None:
    labels = open_reader(shared_data / "eegmmidb" / "S001" / "S001R01.edf").header.labels
    resolved = resolve_channels(labels, "1005").montage
    assert resolved.channel_names == canonical_montage("1010_64").channel_names


@pytest.mark.parametrize("n_channels", [1, 8, 32, 100])
def test_spread_channels_cover_the_scalp_evenly(n_channels: int) -> None:
    montage, sphere = spread_montage(n_channels), template_sphere("1005")
    places = np.array(montage.positions_m) - sphere.centre_m
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), sphere.radius_m)
    assert montage.channel_names == tuple(f"V{k + 1}" for k in range(n_channels))
    assert (places[:, 2] >= -0.1 * sphere.radius_m).all()
    if n_channels > 1:
        distances = np.linalg.norm(places[:, None] - places, axis=2) + np.eye(n_channels)
        nearest = distances.min(axis=1)
        # A disc of the same share of the cap: no place is crowded, none is empty.
        alone = 2 * sphere.radius_m * np.sqrt(1.1 / 2 / n_channels) * 2
        assert (nearest > 0.35 * alone).all()
        assert (nearest < alone).all()
