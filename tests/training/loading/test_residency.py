"""Signals on the device give the same batches; the CPU stands in for it."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

import eegfm.training.loading.residency as module
from eegfm.batch import WindowIndex
from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.loading.residency import signals_on_device
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.plans.mixture_plan import MixturePlan

CPU = torch.device("cpu")


@pytest.fixture
def signals(small: Montage, large: Montage, tmp_path: Path) -> dict[str, SignalStore]:
    """A corpus of two montages and one of many shards."""
    stores = {}
    for corpus, montages, shard_bytes in (("hbn", (large, small), 4 << 30), ("tuh", (small,), 2000)):
        rng = np.random.default_rng(len(corpus))
        with StoreWriter(tmp_path / corpus, StoreFacts(100.0), shard_bytes=shard_bytes) as writer:
            for montage in montages:
                for k in range(6):
                    samples = rng.integers(-32768, 32768, (300 + k, montage.n_channels), dtype=np.int16)
                    writer.commit(
                        recording_id=f"{corpus}:{montage.name}{k}",
                        key="",
                        montage=montage,
                        samples=samples,
                        scales_uv=rng.random(montage.n_channels).astype(np.float32),
                        facts={},
                        events=[],
                    )
        stores[corpus] = SignalStore(tmp_path / corpus)
    return stores


@pytest.fixture
def groups(signals) -> dict[str, list[WindowIndex]]:
    found: dict[str, list[WindowIndex]] = {}
    for corpus, store in signals.items():
        for name in store.montages:
            ids = [f"{corpus}:{name}{k}" for k in range(6)]
            rows, recordings = store.locate(name, ids, np.zeros(6, dtype=np.int64), 300)
            owners = recordings.astype(np.int32)
            index = WindowIndex(corpus, name, 50, 50, rows, owners, owners, np.arange(1, 7) * 6)
            found.setdefault(corpus, []).append(index)
    return found


def plan_of(groups) -> MixturePlan:
    return MixturePlan(groups, {"hbn": 0.5, "tuh": 0.5}, 8, seed=1)


def test_batches_are_equal_wherever_the_signals_lie(signals, groups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_BYTES", 1000)
    assert len(signals["tuh"].shards(groups["tuh"][0].montage)[0]) > 1
    device_signals = signals_on_device(groups, signals, CPU, "device", 1.0)
    assert set(device_signals) == {(g.corpus, g.montage) for each in groups.values() for g in each}
    resident = TrainingLoader(plan_of(groups), signals, 30, device_signals=device_signals)
    from_disk = TrainingLoader(plan_of(groups), signals, 30)
    for got, want in zip(resident, from_disk, strict=True):
        for a, b in zip(got.batches, want.batches, strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[k], b[k]) if isinstance(b[k], torch.Tensor) else a[k] == b[k] for k in b)


def test_resident_signals_are_not_read_again(signals, groups, monkeypatch: pytest.MonkeyPatch) -> None:
    device_signals = signals_on_device(groups, signals, CPU, "device", 1.0)

    def forbidden(*_: object) -> None:
        raise AssertionError("the store was read")

    monkeypatch.setattr(SignalStore, "gather", forbidden)
    monkeypatch.setattr(SignalStore, "read_ahead", forbidden)
    assert len(list(TrainingLoader(plan_of(groups), signals, 10, device_signals=device_signals))) == 10


@pytest.mark.parametrize("residency", ["disk", "auto"])
def test_a_cpu_leaves_them_in_the_page_cache(signals, groups, residency) -> None:
    assert signals_on_device(groups, signals, CPU, residency, 1.0) == {}


def test_what_does_not_fit_stays_or_is_refused(
    signals, groups, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    n_bytes = sum(
        2 * signals[c].montages[m].n_channels * int(sum(part[-1] for part in signals[c].shards(m)))
        for c, m in {(g.corpus, g.montage) for each in groups.values() for g in each}
    )
    monkeypatch.setattr(module, "_free_bytes", lambda _: 2 * n_bytes)
    assert len(signals_on_device(groups, signals, CPU, "device", 0.5)) == 3
    monkeypatch.setattr(module, "_free_bytes", lambda _: 2 * n_bytes - 2)
    with pytest.raises(ConfigError, match=r"loader\.residency to disk or raise loader\.device_memory_ratio"):
        signals_on_device(groups, signals, CPU, "device", 0.5)
    with caplog.at_level(logging.INFO):
        assert signals_on_device(groups, signals, torch.device("meta"), "auto", 0.5) == {}
    assert "they stay on the disk" in caplog.text


def test_free_memory_is_more_than_nothing() -> None:
    assert module._free_bytes(CPU) > 1 << 28


def test_memory_that_a_gpu_shares_holds_them_already(signals, groups) -> None:
    for residency in ("auto", "disk"):
        assert signals_on_device(groups, signals, torch.device("mps"), residency, 1.0) == {}
    with pytest.raises(ConfigError, match=r"loader\.residency is device, .* mps.*set loader\.residency to auto"):
        signals_on_device(groups, signals, torch.device("mps"), "device", 1.0)
