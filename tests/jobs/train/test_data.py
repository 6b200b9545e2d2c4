"""The choices of the mixture table reach the plan. The log names them once."""

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.jobs.train.data import TrainingData, training_data
from eegfm.recording import Montage
from eegfm.training.blocks import LoaderParams, ShuffleParams
from eegfm.training.config import PretrainParams
from training.conftest import MemoryStore

MONTAGE = Montage(("C3", "C4"), ((-0.06, 0, 0.07), (0.06, 0, 0.07)), (True, True), "average")


class Addresses:
    """A store of recordings of 1,000 samples, without the samples."""

    rate_hz, is_simulated, filters = 100.0, True, {"low_hz": 0.5, "high_hz": 45.0, "notch_hz": None}
    montages: ClassVar = {MONTAGE.name: MONTAGE}

    def locate(self, montage: str, recording_ids: Any, starts: Any, n_samples: Any) -> Any:
        recordings = np.array([int(name[1:]) for name in recording_ids])
        return 1000 * recordings + starts, recordings


STORES: Any = {"hbn": Addresses(), "tuh": Addresses()}


def mixture(**changes: Any) -> pd.DataFrame:
    """HBN has ten persons with ten windows each, TUH ten with three each."""
    rows = [
        (f"r{k}", corpus, MONTAGE.name, f"{corpus}:p{k}", n_windows, "train", weight)
        for corpus, n_windows, weight in (("hbn", 10, 0.7), ("tuh", 3, 0.3))
        for k in range(10)
    ]
    table = pd.DataFrame(rows, columns=["recording_id", "corpus", "montage", "person", "n_windows", "split", "weight"])
    table = table.assign(identity=table["person"], start=0, n_samples=100, stride=100)
    return table.assign(drawn_by="windows", max_windows_per_person=0, is_rounded=False, **changes)


def data(table: pd.DataFrame, batch_size: int = 10, world_size: int = 1, **changes: Any) -> TrainingData:
    params = PretrainParams(batch_size=batch_size, n_epochs=2, **changes)
    return training_data(table, STORES, params, world_size=world_size)


def test_a_corpus_that_runs_out_is_said_once_with_numbers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "eegfm"):
        found = data(mixture())
    assert found.n_steps == 2 * 13
    assert [r.getMessage() for r in caplog.records if r.name == "eegfm.jobs.train.data"] == [
        "Windows per step: hbn 7, tuh 3. Epoch: 13 steps, passes through its windows: hbn 0.91, tuh 1.3; "
        "shuffled anew when it runs out: tuh"
    ]


def test_limits_persons_and_runs_reach_the_plan(caplog: pytest.LogCaptureFixture) -> None:
    assert data(mixture().assign(max_windows_per_person=2)).n_steps == 2 * 4
    with caplog.at_level("INFO", "eegfm"):
        data(mixture().assign(drawn_by="persons"))
    assert "rounds of its persons: hbn 9.1, tuh 3.9" in caplog.text
    with pytest.raises(ConfigError, match=r"shuffle\.run_windows 2"):
        data(mixture().assign(drawn_by="persons"), shuffle=ShuffleParams(run_windows=2))


def test_shares_by_size_are_rounded_to_the_batch_of_every_rank() -> None:
    sized = mixture().assign(is_rounded=True, weight=lambda t: t["corpus"].map({"hbn": 10 / 13, "tuh": 3 / 13}))
    assert data(sized).weights == {"hbn": 0.8, "tuh": 0.2}
    assert data(sized, batch_size=8, world_size=2).weights == {"hbn": 0.75, "tuh": 0.25}
    with pytest.raises(ConfigError, match="batch_size 10 cannot be shared out"):
        data(sized.assign(is_rounded=False))
    with pytest.raises(ConfigError, match="on each of 2 devices"):
        data(mixture(), world_size=2)


def test_a_schedule_longer_than_the_plan_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup_steps 26 is beyond the run of 26 steps"):
        data(mixture(), schedule={"name": "constant", "warmup_steps": 26})
    with pytest.raises(ConfigError, match="plateau watches val/loss, but there are no validation windows"):
        data(mixture(), schedule={"name": "plateau", "patience": 0}, validation_interval_steps=1)
    table = mixture()
    table.loc[table["person"] == "tuh:p9", "split"] = "validation"
    found = data(table, schedule={"name": "plateau", "patience": 10}, validation_interval_steps=2)
    assert found.n_steps == 26
    with pytest.raises(ConfigError, match="of the 13 of this run"):
        data(table, schedule={"name": "plateau", "patience": 11}, validation_interval_steps=2)


def test_batches_arrive_in_the_parts_of_accumulation() -> None:
    stores: Any = {corpus: MemoryStore([MONTAGE], 10, 1000) for corpus in STORES}
    params = PretrainParams(batch_size=40, n_steps=1, accumulate=4, loader=LoaderParams(verify="off"))
    [step] = training_data(mixture(), stores, params).training
    assert (step.n_windows, step.n_cuts) == (40, 4)
    assert [(batch["corpus"], len(batch["samples"])) for batch in step.batches] == [("hbn", 7)] * 4 + [("tuh", 3)] * 4
    with pytest.raises(ConfigError, match="in each of the 4 parts that accumulate asks for"):
        data(mixture(), accumulate=4)
    sized = mixture().assign(is_rounded=True, weight=lambda t: t["corpus"].map({"hbn": 10 / 13, "tuh": 3 / 13}))
    assert data(sized, batch_size=20, accumulate=2).weights == {"hbn": 0.8, "tuh": 0.2}
