import logging

import numpy as np
import pandas as pd
import pytest
import torch

from eegfm import progress
from eegfm.errors import CheckpointError, SplitError
from eegfm.evaluation.band_power import log_band_power
from eegfm.evaluation.controls import power_features, split_powers
from eegfm.evaluation.features import (
    extract_features,
    pool_channels,
    zscore_per_person,
)
from eegfm.nn.rereference import Rereference
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter


def _montage(n_channels):
    return Montage(
        tuple(f"X{k}" for k in range(n_channels)),
        tuple((0.01 * k, 0.0, 0.08) for k in range(n_channels)),
        (True,) * n_channels,
        "average",
    )


@pytest.fixture
def store(tmp_path):
    """Three recordings of noise: two of 3 channels, one of 2."""
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path, StoreFacts(rate_hz=100.0)) as writer:
        for name, n_channels in (("r0", 3), ("r1", 2), ("r2", 3)):
            writer.commit(
                recording_id=name,
                key="",
                montage=_montage(n_channels),
                samples=rng.integers(-500, 500, (1000, n_channels)).astype(np.int16),
                scales_uv=np.linspace(0.1, 0.3, n_channels, dtype=np.float32),
                facts={},
                events=[],
            )
    return SignalStore(tmp_path)


def _windows(places):
    name_of = {"r0": _montage(3).name, "r1": _montage(2).name, "r2": _montage(3).name}
    table = pd.DataFrame(places, columns=["recording_id", "start"])
    return table.assign(montage=table["recording_id"].map(name_of), corpus="c", n_samples=200)


def _average(store):
    return Rereference(store.montages)


def _extract(store, windows, extract, pooling="channels", batch_size=4, name="power"):
    return extract_features(store, windows, extract, name=name, pooling=pooling, batch_size=batch_size)


def _patch_means(batch_uv):
    """Mean and standard deviation of each channel's patches, averaged over time."""
    patches = batch_uv["signal"].unflatten(-1, (-1, 50))
    return torch.stack([patches.mean(-1), patches.std(-1)], dim=-1).mean(dim=2), batch_uv["channel_mask"]


def _signal(store, recording_id, start):
    signal_uv = store.recording(recording_id)[start : start + 200].T
    return signal_uv - signal_uv.mean(axis=0)


def test_features_stand_in_the_order_of_the_table(store):
    places = [("r2", 300), ("r0", 10), ("r2", 0), ("r0", 800), ("r0", 3)]
    rereference = _average(store)
    found = _extract(store, _windows(places), lambda batch: _patch_means(rereference(batch)), batch_size=2)
    assert found.shape == (5, 6)
    for values, (recording_id, start) in zip(found, places, strict=True):
        patches = _signal(store, recording_id, start).reshape(3, 4, 50)
        expected = np.stack([patches.mean(2).mean(1), patches.std(2, ddof=1).mean(1)], axis=1)
        np.testing.assert_allclose(values, expected.ravel(), rtol=1e-4, atol=1e-4)


def test_many_windows_say_how_far_they_are(store, caplog, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO):
        windows = _windows([("r2", 300), ("r0", 10), ("r2", 0)])
        _extract(store, windows, power_features(_average(store), 100.0), batch_size=2)
    assert caplog.messages == ["Features of 2 of 3 windows: power", "Features of 3 of 3 windows: power"]


def test_montages_are_pooled_by_their_mean_only(store):
    places = [("r1", 0), ("r0", 10), ("r1", 5), ("r2", 0)]
    with pytest.raises(SplitError, match=r"2 montages .*pooling=mean"):
        _extract(store, _windows(places), power_features(_average(store), 100.0))
    both = _extract(store, _windows(places), power_features(_average(store), 100.0), pooling="mean")
    found, _ = split_powers(both)
    for values, (recording_id, start) in zip(found, places, strict=True):
        expected = log_band_power(_signal(store, recording_id, start)[None], 100.0)[0].mean(axis=0)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_mean_leaves_out_masked_channels():
    features = torch.arange(12.0).reshape(1, 3, 4)
    pooled = pool_channels(features, torch.tensor([[True, False, True]]), "mean")
    assert pooled.tolist() == [[4.0, 5.0, 6.0, 7.0]]
    assert pool_channels(features, torch.ones(1, 3, dtype=torch.bool), "channels").shape == (1, 12)


def test_masked_channels_are_unknown_side_by_side():
    features = torch.arange(1.0, 13.0).reshape(1, 3, 4)
    features[:, 1] = float("nan")  # whatever an encoder makes of padding
    pooled = pool_channels(features, torch.tensor([[True, False, True]]), "channels")
    np.testing.assert_array_equal(pooled.numpy(), [[1, 2, 3, 4, *[np.nan] * 4, 9, 10, 11, 12]])
    assert torch.isfinite(pool_channels(features, torch.tensor([[True, False, True]]), "mean")).all()


def test_features_that_are_not_finite_are_refused(store):
    def broken(batch):
        values = batch["samples"].transpose(1, 2)[..., :1] * torch.tensor(float("nan"))
        return values, torch.ones(values.shape[:2], dtype=torch.bool)

    with pytest.raises(CheckpointError, match=r"trained: features of 2 of 2 windows.*recording r0"):
        _extract(store, _windows([("r0", 0), ("r2", 0)]), broken, name="trained")


def test_channels_that_are_bad_in_a_recording_are_unknown_features_of_its_windows(tmp_path):
    """Recordings of one montage with other bad channels, in one batch: each keeps what it knows."""
    rng, bad = np.random.default_rng(5), {"r0": [], "r2": ["X1"], "r3": ["X0"]}
    samples = {name: rng.integers(-500, 500, (1000, 3)).astype(np.int16) for name in bad}
    with StoreWriter(tmp_path, StoreFacts(rate_hz=100.0)) as writer:
        for name, channels in bad.items():
            writer.commit(
                recording_id=name, key="", montage=_montage(3), samples=samples[name], facts={}, events=[],
                scales_uv=np.float32([0.1, 0.2, 0.3]), bad_channels=channels,
            )  # fmt: skip
    windows = pd.DataFrame([(name, 100) for name in ("r3", "r0", "r2", "r3")], columns=["recording_id", "start"])
    windows = windows.assign(montage=_montage(3).name, corpus="c", n_samples=200)
    store = SignalStore(tmp_path)
    power = power_features(_average(store), 100.0)
    found = split_powers(_extract(store, windows, power))[0].reshape(4, 3, 5)
    means = split_powers(_extract(store, windows, power, pooling="mean"))[0]
    for k, name in enumerate(windows["recording_id"]):
        uv = samples[name][100:300].T * np.array([[0.1], [0.2], [0.3]])
        good = np.array([channel not in bad[name] for channel in ("X0", "X1", "X2")])
        expected = log_band_power((uv - uv[good].mean(axis=0))[None], 100.0)[0]
        np.testing.assert_allclose(found[k][good], expected[good], atol=1e-3)
        assert np.isnan(found[k][~good]).all()
        np.testing.assert_allclose(means[k], expected[good].mean(axis=0), atol=1e-3)


def test_zscore_per_person():
    rng = np.random.default_rng(0)
    persons = np.array([0, 1, 0, 1, 0, 1])
    features = rng.normal(size=(6, 3)) + 10 * persons[:, None]
    found = zscore_per_person(features, persons)
    for person in (0, 1):
        mine = features[persons == person]
        expected = (mine - mine.mean(axis=0)) / mine.std(axis=0)
        np.testing.assert_allclose(found[persons == person], expected)
