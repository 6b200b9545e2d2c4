"""The signal store in the catalog: a handle, never data; a picture for kedro viz."""

import base64
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from eegfm.errors import StoreError
from eegfm.io.signal_store import SignalStoreDataset
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter

NAMES = tuple(f"E{k}" for k in range(1, 21))
MONTAGE = Montage(NAMES, ((0.0, 0.0, 0.1),) * 20, (True,) * 20, "Cz")


@pytest.fixture
def store(tmp_path: Path) -> SignalStore:
    samples = np.random.default_rng(0).integers(-99, 99, size=(700, 20), dtype=np.int16)
    samples[:, 3] = 0
    with StoreWriter(tmp_path / "signals", StoreFacts(100.0)) as writer:
        writer.commit(
            recording_id="hbn:a", key="k", montage=MONTAGE, samples=samples, scales_uv=np.ones(20, dtype=np.float32),
            facts={}, events=[],
        )  # fmt: skip
    return SignalStore(tmp_path / "signals")


def test_handle_goes_in_and_comes_out(store: SignalStore) -> None:
    dataset = SignalStoreDataset(path=str(store.folder))
    dataset.save(store)
    assert dataset.exists()
    loaded = dataset.load()
    assert isinstance(loaded, SignalStore)
    assert loaded.digest() == store.digest()


def test_store_of_another_place_is_refused(store: SignalStore, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"node wrote the store .*/signals, the catalog names .*/elsewhere"):
        SignalStoreDataset(path=str(tmp_path / "elsewhere")).save(store)


def test_missing_store_is_named_with_its_remedy(tmp_path: Path) -> None:
    dataset = SignalStoreDataset(path=str(tmp_path / "none"))
    assert not dataset.exists()
    with pytest.raises(DatasetError) as info:
        dataset.load()
    assert isinstance(info.value.__cause__, StoreError)
    assert f"{tmp_path}/none: holds no signal store" in str(info.value.__cause__)
    assert "kedro run --pipelines=ingest" in str(info.value.__cause__)


def test_preview_is_a_picture(store: SignalStore) -> None:
    picture = base64.b64decode(SignalStoreDataset(path=str(store.folder)).preview())
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5000
