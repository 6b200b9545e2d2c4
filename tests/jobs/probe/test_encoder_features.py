"""Features of encoders through Lightning's Trainer: those of a plain loop over the windows, whatever the batches."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from eegfm import progress
from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig
from eegfm.batch import SignalSpec, StoredBatch
from eegfm.encoders.config import EegnetConfig, PatchTransformerConfig
from eegfm.encoders.layer_features import layer_features
from eegfm.errors import CheckpointError, ConfigError, SplitError, TrainingError
from eegfm.inference.backbone import Backbone, new_backbone
from eegfm.inference.table_loader import PlacedBatch
from eegfm.jobs.probe.encoder_features import encoder_features_of
from eegfm.signal.montages.canonical import canonical_montage
from eegfm.stopping import Stopped
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.supervised import predicting
from eegfm.training.supervised.features import FeatureModule, PooledFeatures

RATE_HZ, N_SAMPLES = 100.0, 200
MONTAGE_OF = {"r0": "1020_19", "r1": "1010_64", "r2": "1020_19"}
SMALL = PatchTransformerConfig(d_model=16, n_layers=2, head_size=8)
PLACES = [("r2", 300), ("r0", 10), ("r2", 0), ("r0", 350), ("r0", 3)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SignalStore:
    """Recordings of noise: of 19 channels, of 64, and of 19 of which the fourth is bad."""
    folder, rng = tmp_path_factory.mktemp("signals"), np.random.default_rng(0)
    with StoreWriter(folder, StoreFacts(rate_hz=RATE_HZ)) as writer:
        for name, of in MONTAGE_OF.items():
            montage = canonical_montage(of)  # type: ignore[arg-type]
            samples = rng.integers(-500, 500, (600, montage.n_channels)).astype(np.int16)
            writer.commit(
                recording_id=name, key="", montage=montage, samples=samples, facts={}, events=[],
                scales_uv=np.full(montage.n_channels, 0.1, dtype=np.float32),
                bad_channels=[montage.channel_names[3]] if name == "r2" else [],
            )  # fmt: skip
    return SignalStore(folder)


def windows_of(places: list[tuple[str, int]]) -> pd.DataFrame:
    table = pd.DataFrame(places, columns=["recording_id", "start"])
    names = [canonical_montage(MONTAGE_OF[name]).name for name in table["recording_id"]]  # type: ignore[arg-type]
    return table.assign(montage=names, corpus="c", n_samples=N_SAMPLES)


def backbone_of(store: SignalStore, seed: int, encoder: Any = SMALL, adapter: Any = None) -> Backbone:
    names = [name for name in store.montages if adapter or store.montages[name].n_channels == 19]
    spec = SignalSpec(RATE_HZ, {name: store.montages[name] for name in names}, dict.fromkeys(names, N_SAMPLES))
    given = {"reference": "average", "bad_channels": "mask"}
    return new_backbone(encoder, adapter or NoAdapterConfig(), spec, seed, **given).eval()  # type: ignore[arg-type]


def encode(backbone: Backbone, store: SignalStore, row: Any, layers: str) -> np.ndarray:
    """(R, X) features of one window, and of each layer (L, R, X); NaN in rows without signal."""
    places, scale_row = store.locate(row.montage, [row.recording_id], np.array([row.start]), N_SAMPLES)
    stored: StoredBatch = {
        "samples": torch.from_numpy(store.gather(row.montage, places, N_SAMPLES)),
        "scales_uv": torch.from_numpy(store.scales(row.montage)[scale_row]),
        "recording": torch.from_numpy(scale_row),
        "corpus": "c",
        "montage": row.montage,
        "is_bad": store.is_bad(row.montage)[scale_row],
    }
    with torch.no_grad():
        found = [backbone(stored).features]
        if layers != "last":
            found = layer_features(backbone.encoder, backbone.prepare(stored))
    values = torch.stack([one.values[0].masked_fill(~one.mask[0, :, None], float("nan")) for one in found])
    return {"last": values[-1], "mean": values.mean(dim=0), "chosen": values}[layers].numpy()


def features(backbones: dict[str, Backbone], store: SignalStore, places: Any, **changes: Any) -> dict[str, np.ndarray]:
    given = {"layers": "last", "pooling": "channels", "batch_size": 2, "accelerator": "cpu"} | changes
    return encoder_features_of(backbones, store, windows_of(places), **given)


@pytest.mark.parametrize("pooling", ["channels", "mean"])
@pytest.mark.parametrize("layers", ["last", "mean", "chosen"])
def test_features_are_those_of_a_plain_loop(store: SignalStore, layers: str, pooling: str) -> None:
    backbones = {f"untrained {seed}": backbone_of(store, seed) for seed in (0, 1)}
    found = features(backbones, store, PLACES, layers=layers, pooling=pooling)
    assert list(found) == list(backbones)
    for name, backbone in backbones.items():
        rows = [encode(backbone, store, row, layers) for row in windows_of(PLACES).itertuples()]
        expected = np.stack(rows)
        expected = np.nanmean(expected, axis=-2) if pooling == "mean" else expected.reshape(*expected.shape[:-2], -1)
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)
    assert np.isnan(found["untrained 0"]).any() == (pooling == "channels")


def test_batches_change_nothing_and_backbones_come_back(store: SignalStore) -> None:
    backbone = backbone_of(store, 0)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    one, all_ = (features({"a": backbone}, store, PLACES, batch_size=size)["a"] for size in (1, 64))
    np.testing.assert_allclose(one, all_, rtol=1e-4, atol=1e-5)
    assert not backbone.training
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, before[name])


def test_montages_meet_behind_an_adapter(store: SignalStore) -> None:
    backbone = backbone_of(store, 0, adapter=InterpolateConfig(montage="1020_19"))
    places = [("r1", 0), ("r0", 10), ("r1", 5), ("r2", 0)]
    found = features({"a": backbone}, store, places, pooling="mean")["a"]
    expected = [np.nanmean(encode(backbone, store, row, "last"), axis=0) for row in windows_of(places).itertuples()]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(SplitError, match=r"2 montages .*pooling=mean"):
        features({"a": backbone}, store, places)


def test_features_that_are_not_finite_are_refused(store: SignalStore) -> None:
    good, bad = backbone_of(store, 0), backbone_of(store, 1)
    with torch.no_grad():
        next(bad.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"trained: features of 5 of 5 windows.*recording r2"):
        features({"untrained": good, "trained": bad}, store, PLACES)


def test_an_encoder_without_layers_is_refused(store: SignalStore) -> None:
    with pytest.raises(ConfigError, match=r"encoder eegnet has stages of different shapes"):
        features({"a": backbone_of(store, 0, EegnetConfig())}, store, PLACES, layers="mean")


def test_long_work_says_how_far_it_is(
    store: SignalStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO):
        features({"a": backbone_of(store, 0)}, store, PLACES, batch_size=3)
    assert caplog.messages == ["Encoded 3 of 5 windows", "Encoded 5 of 5 windows"]


def test_bfloat16_rounds_and_a_cpu_that_computes_it_wrong_is_refused(
    store: SignalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, asked = backbone_of(store, 0), []
    monkeypatch.setattr(predicting, "check_bfloat16", asked.append)
    exact = features({"a": backbone}, store, PLACES, pooling="mean")["a"]
    assert not asked
    rounded = features({"a": backbone}, store, PLACES, pooling="mean", precision="bf16-mixed")["a"]
    assert asked == [torch.device("cpu")]
    assert rounded.dtype == np.float32
    assert 1e-5 < np.abs(rounded - exact).max() / np.abs(exact).max() < 0.05

    def refuse(device: torch.device) -> None:
        raise TrainingError("wrong")

    monkeypatch.setattr(predicting, "check_bfloat16", refuse)
    with pytest.raises(TrainingError, match="wrong"):
        features({"a": backbone}, store, PLACES, precision="bf16-mixed")


def test_a_gpu_that_is_not_there_is_refused(store: SignalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"parameter probe\.accelerator is 'cuda'"):
        features({"a": backbone_of(store, 0)}, store, PLACES, accelerator="cuda", key="probe.")


def test_signals_stay_those_of_the_run(store: SignalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would handle SIGTERM itself, and end a Ctrl-C with no line."""
    seen, before = [], signal.getsignal(signal.SIGTERM)
    step = FeatureModule.predict_step

    def noted(self: FeatureModule, placed: PlacedBatch, batch_idx: int) -> PooledFeatures:
        seen.append(signal.getsignal(signal.SIGTERM))
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, placed, batch_idx)

    monkeypatch.setattr(FeatureModule, "predict_step", noted)
    with pytest.raises(Stopped):
        features({"a": backbone_of(store, 0)}, store, PLACES)
    assert len(seen) == 2
    assert all(getattr(handler, "__module__", "") == "eegfm.stopping" for handler in seen)
    assert signal.getsignal(signal.SIGTERM) == before


def test_damage_of_the_store_comes_through(store: SignalStore, tmp_path: Path) -> None:
    """An error while windows are gathered is the caller's, as it was raised."""
    windows = windows_of([("r0", 550)])  # 50 samples are left of the recording
    with pytest.raises(Exception, match="r0"):
        encoder_features_of(
            {"a": backbone_of(store, 0)}, store, windows, layers="last", pooling="mean", batch_size=2, accelerator="cpu"
        )
