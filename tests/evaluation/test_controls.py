"""Controls without an encoder: what they are computed from, and that montages and bad channels keep their places."""

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import SplitError
from eegfm.evaluation.band_power import log_band_power, relative_band_power
from eegfm.evaluation.config import ControlKind
from eegfm.evaluation.controls import control_features
from eegfm.evaluation.log_covariance import log_covariance, pooled_to_sites
from eegfm.nn.rereference import Rereference
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

KINDS = get_args(ControlKind)
SCALE_UV = 0.1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SignalStore:
    """Three recordings of noise: of 19 channels, of 64, and of 19 of which the fourth is bad."""
    folder, rng = tmp_path_factory.mktemp("signals"), np.random.default_rng(0)
    with StoreWriter(folder, StoreFacts(rate_hz=100.0)) as writer:
        for name, montage_name in (("r0", "1020_19"), ("r1", "1010_64"), ("r2", "1020_19")):
            montage = canonical_montage(montage_name)  # type: ignore[arg-type]
            writer.commit(
                recording_id=name,
                key="",
                montage=montage,
                samples=rng.integers(-500, 500, (600, montage.n_channels)).astype(np.int16),
                scales_uv=np.full(montage.n_channels, SCALE_UV, dtype=np.float32),
                facts={},
                events=[],
                bad_channels=[montage.channel_names[3]] if name == "r2" else [],
            )
    return SignalStore(folder)


def windows_of(store: SignalStore, *places: tuple[str, int]) -> pd.DataFrame:
    montage_of = {"r0": "1020_19", "r1": "1010_64", "r2": "1020_19"}
    table = pd.DataFrame(places, columns=["recording_id", "start"])
    names = [canonical_montage(montage_of[name]).name for name in table["recording_id"]]  # type: ignore[arg-type]
    return table.assign(montage=names, corpus="c", n_samples=200)


def controls(store: SignalStore, windows: pd.DataFrame, pooling: Any, kinds: Any = KINDS) -> dict[str, Any]:
    rereference = Rereference(store.montages)
    return control_features(store, windows, rereference, kinds, pooling=pooling, batch_size=2)


def signal_uv(store: SignalStore, windows: pd.DataFrame, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window against the average of its good channels, its places, and which channels are good."""
    name, start = windows.loc[row, ["recording_id", "start"]]
    montage = store.montages[windows.loc[row, "montage"]]
    rows, _ = store.locate(windows.loc[row, "montage"], [name], np.array([start]), 200)
    uv = store.gather(windows.loc[row, "montage"], rows, 200)[0].T * SCALE_UV
    good = np.ones(montage.n_channels, dtype=bool)
    good[3] = name != "r2"
    return (uv - uv[good].mean(axis=0))[None], montage.positions()[None], good[None]


def test_channels_stand_side_by_side_in_the_order_of_the_table(store: SignalStore) -> None:
    windows = windows_of(store, ("r2", 100), ("r0", 300), ("r2", 0), ("r0", 0), ("r0", 50))
    found = controls(store, windows, "channels")
    assert list(found) == list(KINDS)
    assert {kind: values.shape for kind, values in found.items()} == {
        "majority": (5, 0), "band_power": (5, 95), "relative_band_power": (5, 95), "log_covariance": (5, 760),
    }  # fmt: skip
    for row in range(5):
        uv, _, good = signal_uv(store, windows, row)
        powers = log_band_power(uv, 100.0)[0]
        for kind, expected in (("band_power", powers), ("relative_band_power", relative_band_power(powers))):
            values = found[kind][row].reshape(19, 5)
            np.testing.assert_allclose(values[good[0]], expected[good[0]], atol=1e-3)
            assert np.isnan(values[~good[0]]).all()
        expected, is_known = log_covariance(uv, 100.0, good)
        assert (np.isnan(found["log_covariance"][row]) == ~is_known[0]).all()
        np.testing.assert_allclose(found["log_covariance"][row][is_known[0]], expected[0][is_known[0]], atol=2e-3)


def test_several_montages_share_sites(store: SignalStore) -> None:
    windows = windows_of(store, ("r1", 100), ("r2", 100), ("r1", 0), ("r0", 300))
    with pytest.raises(SplitError, match=r"2 montages .*pooling=mean"):
        controls(store, windows, "channels")
    found = controls(store, windows, "mean", ["log_covariance", "band_power"])
    assert {kind: values.shape for kind, values in found.items()} == {"log_covariance": (4, 220), "band_power": (4, 5)}
    for row in range(4):
        uv, places_m, good = signal_uv(store, windows, row)
        pooled_uv, is_known = pooled_to_sites(uv, places_m, good)
        expected, _ = log_covariance(pooled_uv, 100.0, is_known)
        np.testing.assert_allclose(found["log_covariance"][row], expected[0], atol=2e-3)
        np.testing.assert_allclose(
            found["band_power"][row], log_band_power(uv, 100.0)[0][good[0]].mean(axis=0), atol=1e-3
        )


def test_many_channels_are_pooled_to_sites(store: SignalStore) -> None:
    windows = windows_of(store, ("r1", 0), ("r1", 200))
    found = controls(store, windows, "channels")
    assert found["log_covariance"].shape == (2, 220)
    assert found["band_power"].shape == (2, 320)
    assert np.isfinite(found["log_covariance"]).all()
