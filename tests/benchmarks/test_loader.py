"""The peers' data sets hold the same windows as ours, and the page cache is emptied where the benchmark says so."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.loader_cold import StillCachedError, cached_ratio, empty_cache
from benchmarks.loader_data import CORPUS, STEP_UV, Material
from benchmarks.processes import PEERS

from benchmarks import loader_data, loader_ours, loader_peers

MATERIAL = Material(3, 4, 10, 2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_data, "CACHE", tmp_path)
    for cached in (loader_peers.peer_dataset, loader_ours.opened):
        cached.cache_clear()


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Packages of a folder can be imported, and are forgotten afterwards."""
    before, packages = set(sys.modules), {path.stem for path in folder.glob("*")}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in packages:
            del sys.modules[name]


@pytest.fixture
def peers() -> Iterator[None]:
    """The peers, whose torchaudio computes nothing: other tests must not find it."""
    with importable(PEERS):
        yield


def test_peers_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "eegfm_peer" / "part").mkdir(parents=True)
    (tmp_path / "eegfm_peer" / "part" / "file.py").touch()
    path = list(sys.path)
    with importable(tmp_path):
        importlib.import_module("eegfm_peer.part.file")
    assert sys.path == path
    assert not [name for name in sys.modules if name.startswith("eegfm_peer")]
    assert find_spec("eegfm_peer") is None


def ours_uv(material: Material) -> np.ndarray:
    """(n_windows, C, T) of the store, in the order of the peers."""
    store, montage = loader_ours.opened(material), material.montage.name
    numbers = np.arange(material.n_windows)
    ids = [f"{CORPUS}:{k}" for k in numbers // material.n_per_recording]
    rows, scale_rows = store.locate(montage, ids, numbers % material.n_per_recording * material.window, material.window)
    samples_uv = store.gather(montage, rows, material.window) * store.scales(montage)[scale_rows][:, None]
    return samples_uv.transpose(0, 2, 1)


@pytest.mark.usefixtures("peers")
@pytest.mark.parametrize("kind", ["labram_hdf5", "biofoundation_hdf5", "cbramod_lmdb", "braindecode_lazy"])
def test_all_hold_the_same_windows(kind: str) -> None:
    needs = {"cbramod_lmdb": "lmdb", "braindecode_lazy": "braindecode"}.get(kind)
    if needs and not (PEERS / needs).is_dir():
        pytest.skip(f"{needs} is not installed; run benchmarks/setup_peers.sh")
    windows, want = loader_peers.peer_dataset(kind, MATERIAL), ours_uv(MATERIAL)
    assert len(windows) == len(want) == 15
    for number in (0, 4, 5, 14):
        found = windows[number]
        signal = np.asarray(found[0] * 1e6 if isinstance(found, tuple) else found).reshape(want[number].shape)
        np.testing.assert_allclose(signal, want[number], rtol=1e-4, atol=STEP_UV / 100)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system cannot empty its cache")
def test_an_emptied_cache_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    assert cached_ratio(path) == 1.0
    try:
        empty_cache(path)
    except StillCachedError as error:
        pytest.skip(str(error))
    assert cached_ratio(path) < 0.01
    with path.open("rb") as file:
        file.read(1)
    assert cached_ratio(path) > 0.0
