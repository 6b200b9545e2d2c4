"""Damaged samples are found before training, or when they are drawn, wherever the signals lie."""

from pathlib import Path

import numpy as np
import pytest
import torch

from damage import overwrite
from eegfm.batch import WindowIndex
from eegfm.errors import StoreError
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.loading.residency import signals_on_device
from eegfm.training.loading.spread import spread_draws
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.loading.validation_loader import ValidationLoader
from eegfm.training.loading.verify import readable, verify_samples
from eegfm.training.plans.mixture_plan import MixturePlan


@pytest.fixture
def store(small: Montage, tmp_path: Path) -> SignalStore:
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path, StoreFacts(100.0)) as writer:
        for k in range(4):
            writer.commit(
                recording_id=f"c:{k}", key="", montage=small, facts={}, events=[],
                samples=rng.integers(-999, 999, (5000, 3), dtype=np.int16), scales_uv=np.ones(3, dtype=np.float32),
            )  # fmt: skip
    return SignalStore(tmp_path)


def windows(store: SignalStore, montage: str, numbers: list[int]) -> WindowIndex:
    rows, recordings = store.locate(montage, [f"c:{k}" for k in numbers], np.zeros(len(numbers), dtype=np.int64), 5000)
    owners = recordings.astype(np.int32)
    return WindowIndex("c", montage, 100, 100, rows, owners, owners, np.arange(1, len(numbers) + 1) * 50)


def batches(store: SignalStore, group: WindowIndex, **options: object) -> list[torch.Tensor]:
    plan = MixturePlan({"c": [group]}, {"c": 1.0}, 10, seed=0)
    return [
        batch["samples"] for _, (batch,), *_ in TrainingLoader(plan, {"c": store}, plan.n_steps_per_epoch, **options)
    ]


def test_recordings_of_the_mixture_are_compared_and_others_are_not(store: SignalStore, small: Montage) -> None:
    overwrite(store.folder, "c:3", 4000, 20)
    verify_samples([windows(store, small.name, [0]), windows(store, small.name, [1])], {"c": store})
    with pytest.raises(StoreError, match=r"in recording c:3;.*kedro run --pipelines=ingest"):
        verify_samples([windows(store, small.name, [0, 1]), windows(store, small.name, [2, 3])], {"c": store})


def test_what_was_compared_is_drawn_without_comparing_it_again(
    store: SignalStore, small: Montage, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = windows(store, small.name, [0, 2])
    verify_samples([group], {"c": store})
    monkeypatch.setattr("eegfm.store.guard.checksum", lambda _: pytest.fail("compared again"))
    assert len(batches(store, group)) == 10


def test_drawing_training_validating_and_copying_to_the_device_refuse_damage(
    store: SignalStore, small: Montage
) -> None:
    group = windows(store, small.name, [0, 1, 2, 3])
    overwrite(store.folder, "c:1", 2000, 20)
    with pytest.raises(StoreError, match="recording c:1;"):
        batches(store, group)
    with pytest.raises(StoreError, match="recording c:1;"):
        list(ValidationLoader(lambda: spread_draws({"c": [group]}, {"c": 10}, 50), {"c": store}))
    with pytest.raises(StoreError, match="recording c:1;"):
        signals_on_device({"c": [group]}, {"c": store}, torch.device("cpu"), "device", 1.0)


def test_off_reads_whatever_is_stored(store: SignalStore, small: Montage) -> None:
    group = windows(store, small.name, [0, 1, 2, 3])
    before = batches(store, group)
    overwrite(store.folder, "c:1", 2000, 20)
    assert readable({"c": store}, "first_read")["c"] is store
    trusting = readable({"c": store}, "off")["c"]
    after = batches(trusting, group)
    assert 0 < sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) <= 2
    assert signals_on_device({"c": [group]}, {"c": trusting}, torch.device("cpu"), "device", 1.0)


def test_a_store_in_memory_has_nothing_to_compare(stores: dict, small: Montage) -> None:
    assert readable(stores, "off")["tuh"] is stores["tuh"]
    numbers = np.arange(2)
    verify_samples([WindowIndex("tuh", small.name, 9, 9, numbers * 90, numbers, numbers)], stores)
