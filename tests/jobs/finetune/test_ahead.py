"""What would stop a finetuning after its trainings stops it before the first one."""

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from answered_store import FILTERS, MONTAGE, SPLITS, TARGETS, TUNING, answered_windows, start_of
from contracts.finetuning_cases import CLOSED, ENCODERS, HEADS
from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError, ConfigError, SplitError
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.controls import load_start
from eegfm.jobs.finetune.planned import PlannedTask, planned_tasks
from eegfm.jobs.finetune.trained import spec_of_windows
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.windows.config import WindowParams
from person_tables import split_table

OTHER = Montage(MONTAGE.channel_names[:3], MONTAGE.positions_m[:3], (True,) * 3, "average")
TESTED = [person for person, split in SPLITS.items() if split == "test"]
FITTED = [person for person, split in SPLITS.items() if split != "test"]


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


@pytest.fixture(scope="module")
def two_montages(tmp_path_factory: pytest.TempPathFactory) -> SignalStore:
    """Test persons have three of the four channels of all others."""
    folder = tmp_path_factory.mktemp("montages")
    with StoreWriter(folder, StoreFacts(rate_hz=200.0, is_simulated=True, filters=FILTERS)) as writer:
        for person in SPLITS:
            montage = OTHER if person in TESTED else MONTAGE
            samples = np.random.default_rng(0).normal(0, 300, (2400, montage.n_channels)).astype(np.int16)
            writer.commit(
                recording_id=f"{person}:r", key="", montage=montage, samples=samples, facts={}, events=[],
                scales_uv=np.full(montage.n_channels, 0.02, dtype=np.float32),
            )  # fmt: skip
    return SignalStore(folder)


def windows_of(store: SignalStore) -> pd.DataFrame:
    windows = answered_windows()
    montages = {entry.recording_id: entry.montage for entry in store.entries}
    return windows.assign(montage=windows["recording_id"].map(montages))


def planned(
    store: SignalStore, cut: str = "binary", start: Checkpoint | None = None, windows: Any = None, **changes: Any
) -> list[PlannedTask]:
    """Plan a finetuning of one task; nothing is trained."""
    given = {**TUNING.model_dump(), "tasks": [cut], "n_untrained": 1, "fit": {"inner_folds": 3}}
    cuts = cast(WindowParams, SimpleNamespace(cuts={k: SimpleNamespace(target_spec=t) for k, t in TARGETS.items()}))
    table = windows_of(store) if windows is None else windows
    params = FinetuneParams.model_validate(given | changes)
    return planned_tasks(
        params, start or start_of(), {"mine": store}, {"mine": table}, {"mine": cuts}, split_table(SPLITS)
    )


@pytest.mark.parametrize(("head", "cut"), [("linear-rows", "binary"), ("per_channel", "multilabel")])
def test_a_head_that_is_tied_to_channels_of_training_persons(
    head: str, cut: str, store: SignalStore, two_montages: SignalStore
) -> None:
    assert planned(store, cut, head=HEADS[head])
    with pytest.raises(ConfigError, match=rf"task mine\.{cut}: .*finetune\.head"):
        planned(two_montages, cut, head=HEADS[head])
    assert planned(two_montages, cut, head=HEADS["mlp"])


@pytest.mark.parametrize("strategy", ["full", "ridge"])
def test_an_encoder_that_is_tied_to_the_montage_of_training_persons(strategy: str, two_montages: SignalStore) -> None:
    start = start_of(ENCODERS["eegnet"])
    asked = {"name": strategy, **({"inner_folds": 3} if strategy == "ridge" else {})}
    with pytest.raises((CheckpointError, ConfigError), match=r"task mine\.binary: "):
        planned(two_montages, start=start, strategy=asked)


def test_windows_of_test_persons_that_are_longer(store: SignalStore) -> None:
    windows = windows_of(store)
    is_test = windows["person"].isin(TESTED)
    longer = windows[~is_test | (windows["start"] == 0)]
    longer = longer.assign(n_samples=longer["n_samples"].mask(longer["person"].isin(TESTED), 800).astype("int32"))
    with pytest.raises(ConfigError, match=r"task mine\.binary: eegnet: encoder eegnet .*400, 800 samples"):
        planned(store, windows=longer)
    with pytest.raises(ConfigError, match=r"task mine\.binary: .*needs windows of one length"):
        planned(store, windows=longer, head=HEADS["mlp-patches"])
    with pytest.raises(
        CheckpointError, match=r"task mine\.binary: windows of 800 samples: the start is tied to .* 400"
    ):
        planned(store, windows=longer, start=start_of(ENCODERS["eegnex"]))


def test_penalties_that_cannot_be_chosen(store: SignalStore) -> None:
    """Every second training person says the same: without either half of them, a class is missing."""
    windows = windows_of(store)
    rows = (windows["cut"] == "binary") & windows["person"].isin(FITTED)
    halves = windows["person"].map({person: ("open", "closed")[k % 2] for k, person in enumerate(SPLITS)})
    rare = windows.assign(label=windows["label"].mask(rows, halves))
    assert planned(store, windows=rare)
    with pytest.raises(SplitError, match=r"task mine\.binary: 9 training persons .*finetune\.fit\.lambdas"):
        planned(store, windows=rare, fit={"inner_folds": 2})
    assert planned(store, windows=rare, fit={"lambdas": [1.0]})
    own = {"strategy": {"name": "knn", "inner_folds": 2}, "fit": {"lambdas": [1.0]}}
    with pytest.raises(SplitError, match=r"among 7 numbers .*finetune\.strategy\.neighbours"):
        planned(store, windows=rare, **own)


def test_layers_that_an_encoder_does_not_have(store: SignalStore) -> None:
    asked = {**CLOSED["ridge"], "layers": "mean"}
    assert planned(store, strategy=asked)
    with pytest.raises(ConfigError, match=r"task mine\.binary: encoder eegnet .*finetune\.strategy\.layers=last"):
        planned(store, start=start_of(ENCODERS["eegnet"]), strategy=asked)


def test_layers_that_no_control_takes() -> None:
    with pytest.raises(ValueError, match=r"fit\.layers is 'mean', and controls take features of the last layer"):
        FinetuneParams.model_validate({"fit": {"layers": "mean"}})


def test_controls_take_the_start_with_the_exceptions_of_the_training(store: SignalStore) -> None:
    start = start_of()
    extra = {**start.tensors, "encoder.old.weight": np.zeros(3, dtype=np.float32)}
    odd = dataclasses.replace(start, tensors={k: v for k, v in extra.items() if k != "encoder.final_norm.bias"})
    with pytest.raises(CheckpointError, match=r"task mine\.binary: .*1 missing \(encoder\.final_norm\.bias\)"):
        planned(store, start=odd)
    load = {"allow_missing": ["encoder.final_norm"], "allow_unexpected": ["encoder.old"]}
    [one] = planned(store, start=odd, load=load)
    backbone = load_start(odd, spec_of_windows(one.task.windows, store), one.params)
    for name, value in backbone.state_dict().items():
        if name in odd.tensors:
            np.testing.assert_array_equal(value.numpy(), odd.tensors[name], err_msg=name)


@pytest.mark.parametrize(
    ("encoder", "strategy", "message"),
    [
        ("eegnet", {"name": "lora"}, "LoRA|lora"),
        (None, {"name": "two_stage", "probe_epochs": 9}, "releases the last part .* set n_epochs to 10 or more"),
        (None, {"name": "gradual", "unfreeze_epoch": 9}, "releases the last part .* set n_epochs"),
    ],
)
def test_strategies_that_do_not_fit_the_encoder_or_the_epochs(
    encoder: str | None, strategy: dict[str, Any], message: str, store: SignalStore
) -> None:
    start = start_of(ENCODERS[encoder]) if encoder else start_of()
    with pytest.raises(ConfigError, match=rf"task mine\.binary: .*({message})"):
        planned(store, start=start, strategy=strategy, n_epochs=8)


def test_a_batch_that_devices_cannot_share_is_one_line(store: SignalStore) -> None:
    with pytest.raises(ConfigError, match=r"^parameter finetune: .*devices"):
        planned(store, devices=3, batch_size=16)
