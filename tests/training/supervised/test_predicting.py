"""What a model says of the windows of a table: in the table's order, whatever the batches and the montages."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from answered_store import (
    FILTERS,
    MONTAGE,
    SPLITS,
    TARGETS,
    answered_task,
    answered_windows,
    start_of,
    tuning,
)
from eegfm.errors import CheckpointError
from eegfm.evaluation.features import checked_pool
from eegfm.inference.table_loader import TableLoader
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.supervised import predicting
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.supervised.predicting import predict
from person_tables import split_table

CHANNELS, MEAN = (partial(checked_pool, pooling=pooling) for pooling in ("channels", "mean"))


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


@pytest.fixture(scope="module")
def module(store: SignalStore) -> SupervisedModule:
    return finetuning(tuning(), answered_task(store, "multioutput"), start=start_of())[0]


@pytest.fixture(scope="module")
def windows() -> pd.DataFrame:
    table = answered_windows()
    return table[table["cut"] == "binary"].sample(frac=1, random_state=0).head(23)


def test_a_table_gives_every_window_once_with_its_place(store: SignalStore, windows: pd.DataFrame) -> None:
    loader = TableLoader(store, windows, 10)
    batches = list(loader)
    assert [len(placed.places) for placed in batches] == [10, 10, 3]
    assert (len(loader), loader.n_windows) == (3, 23)
    assert sorted(np.concatenate([placed.places for placed in batches])) == list(range(23))
    for placed in batches:
        own = (placed.places, placed.batch["samples"], placed.batch["recording"])
        for place, samples, recording in zip(*own, strict=True):
            row = windows.iloc[int(place)]
            rows, numbers = store.locate(MONTAGE.name, [row["recording_id"]], np.array([row["start"]]), 400)
            np.testing.assert_array_equal(samples, store.gather(MONTAGE.name, rows, 400)[0])
            assert int(recording) == numbers[0]


def test_batches_do_not_change_what_is_said(
    store: SignalStore, module: SupervisedModule, windows: pd.DataFrame
) -> None:
    module.train()
    one, other = (
        predict(module, TableLoader(store, windows, size), pool=CHANNELS, accelerator="cpu") for size in (64, 5)
    )
    assert one.said.shape == (23, *TARGETS["multioutput"].output_shape)
    np.testing.assert_allclose(one.said, other.said, atol=1e-6)
    np.testing.assert_allclose(one.features, other.features, atol=1e-4)
    assert one.features.shape == (23, 4 * 16)
    nothing = predict(module, TableLoader(store, windows, 64), accelerator="cpu")
    np.testing.assert_array_equal(nothing.said, one.said)
    assert nothing.features.shape == (23, 0)
    reversed_ = predict(module, TableLoader(store, windows.iloc[::-1], 64), accelerator="cpu")
    np.testing.assert_allclose(reversed_.said[::-1], one.said, atol=1e-6)
    assert not any(p.requires_grad and p.grad is not None for p in module.parameters())


def test_what_is_not_finite_is_refused(
    store: SignalStore, module: SupervisedModule, windows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = module.supervised.answer

    def broken(encoded: object) -> torch.Tensor:
        said = plain(encoded).clone()  # type: ignore[arg-type]
        said[0] = torch.nan
        return said

    monkeypatch.setattr(module.supervised, "answer", broken)
    with pytest.raises(CheckpointError, match="predictions of 3 of 23 windows are not finite"):
        predict(module, TableLoader(store, windows, 10), accelerator="cpu")


def test_windows_of_two_montages(tmp_path: Path) -> None:
    """Their features have other rows; what is said of them has not."""
    names, positions = MONTAGE.channel_names[:3], MONTAGE.positions_m[:3]
    montages = (MONTAGE, Montage(names, positions, (True,) * 3, "average"))
    windows, rng = answered_windows(), np.random.default_rng(0)
    windows = windows[windows["cut"] == "binary"]
    with StoreWriter(tmp_path, StoreFacts(rate_hz=200.0, is_simulated=True, filters=FILTERS)) as writer:
        for k, person in enumerate(SPLITS):
            montage = montages[k % 2]
            samples = rng.normal(0, 300, (2400, montage.n_channels)).astype(np.int16)
            writer.commit(
                recording_id=f"{person}:r", key="", montage=montage, samples=samples, facts={}, events=[],
                scales_uv=np.full(montage.n_channels, 0.02, dtype=np.float32),
            )  # fmt: skip
            windows.loc[windows["person"] == person, "montage"] = montage.name
    store = SignalStore(tmp_path)
    task = FinetuningTask("mine.binary", TARGETS["binary"], windows, split_table(SPLITS), {"mine": store})
    module = finetuning(tuning(), task, start=start_of())[0].eval()
    found = predict(module, TableLoader(store, windows, 10), pool=MEAN, accelerator="cpu")
    assert found.said.shape == (78, 2)
    for place in (0, 7):  # one of each montage
        [placed] = list(TableLoader(store, windows.iloc[[place]], 1))
        with torch.no_grad():
            np.testing.assert_allclose(found.said[[place]], module(placed.batch).double().numpy(), atol=1e-6)
            own = module.objective.backbone(placed.batch).features.values.numpy()[0]
        assert len(own) == (4, 3)[place % 2]
        np.testing.assert_allclose(found.features[place], own.mean(axis=0), atol=1e-4)


def test_features_of_all_rows_are_never_held(
    store: SignalStore, module: SupervisedModule, windows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pooled batch by batch, side by side with NaN for channels without signal; broken ones are refused."""
    batches: list[int] = []

    def pool(values: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batches.append(len(values))
        return values.sum(dim=1), torch.arange(len(values)) == (4 if len(batches) == 2 else -1)

    parts: list[object] = []
    plain = predicting.predicted

    def noted(*args: Any, **named: Any) -> list[Any]:
        parts.extend(plain(*args, **named))
        return parts

    monkeypatch.setattr(predicting, "predicted", noted)
    with pytest.raises(CheckpointError, match="features of 1 of 23 windows are not finite"):
        predict(module, TableLoader(store, windows, 10), pool=pool, accelerator="cpu")
    assert batches == [10, 10, 3]
    assert max(value.numel() // len(value) for part in parts for value in part) == 16  # type: ignore[attr-defined]
