"""Jobs and results go through files and come back as they were; damage on the way is an error."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from checkpoints import header
from eegfm.checkpoint import Checkpoint
from eegfm.errors import EegfmError, TrainingError
from eegfm.jobs.train.exchange import RankJob, read_job, read_result, write_job, write_result
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.result import PretrainResult
from eegfm.mixture.table import mixture_sha256
from eegfm.training.config import PretrainParams
from two_corpora import read_two_corpora, write_two_corpora

OTHER = Checkpoint({"encoder.w": np.ones(2, dtype=np.float32)}, header(phase="tokenizer"))
WEIGHTS = Checkpoint({"encoder.w": np.arange(3, dtype=np.float32)}, header())


@pytest.fixture
def job(tmp_path: Path) -> RankJob:
    write_two_corpora(tmp_path)
    mixture, splits, stores = read_two_corpora(tmp_path)
    params = PretrainParams.model_validate({"n_steps": 3, "devices": 2, "objective": {"name": "mae"}})
    return RankJob(TrainingJob(params, mixture, splits, stores, "adapt", WEIGHTS, OTHER), tmp_path / "runs", "name")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def test_a_job_comes_back(job: RankJob, folder: Path) -> None:
    read = read_job(write_job(folder, job))
    found, asked = read.job, job.job
    assert (found.params, found.phase) == (asked.params, "adapt")
    assert mixture_sha256(found.mixture) == mixture_sha256(asked.mixture)
    pd.testing.assert_frame_equal(found.splits, asked.splits)
    assert {corpus: store.folder for corpus, store in found.stores.items()} == {
        corpus: store.folder for corpus, store in asked.stores.items()
    }
    assert (read.runs, read.fingerprint) == (job.runs, "name")
    assert found.start is not None
    assert found.start.identity() == WEIGHTS.identity()
    assert found.tokenizer is not None
    assert found.tokenizer.identity() == OTHER.identity()


def test_a_result_comes_back(folder: Path) -> None:
    shown: dict[str, dict[str, Any]] = {
        "hbn": {"target": np.eye(2, dtype=np.float32), "mask": np.array([True, False]), "channel_names": ["a"],
                "rate_hz": 100.0},
        "tuh": {"target": np.zeros((0, 3))},
    }  # fmt: skip
    history = pd.DataFrame({"step": [1, 2], "loss": [0.1, np.nan]})
    write_result(folder, PretrainResult(WEIGHTS, {"loss": 0.1, "n": 3}, history, shown, folder / "run"))
    found = read_result(folder)
    assert found.checkpoint.identity() == WEIGHTS.identity()
    assert found.metrics == {"loss": 0.1, "n": 3}
    assert found.run_directory == folder / "run"
    pd.testing.assert_frame_equal(found.history, history)
    assert found.reconstructions.keys() == shown.keys()
    for corpus, fields in shown.items():
        assert found.reconstructions[corpus].keys() == fields.keys()
        for name, value in fields.items():
            np.testing.assert_array_equal(found.reconstructions[corpus][name], value)


@pytest.mark.parametrize("name", ["mixture.parquet", "splits.parquet", "start.safetensors"])
def test_a_damaged_file_is_named(job: RankJob, folder: Path, name: str) -> None:
    path = write_job(folder, job)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(EegfmError, match=f"{name}: missing or damaged"):
        read_job(path)


def test_a_job_is_checked_again(job: RankJob, folder: Path) -> None:
    path = write_job(folder, job)
    path.write_text(path.read_text().replace('"name":"mae"', '"name":"code"'))
    with pytest.raises(TrainingError, match=r"job.json: cannot be read: .*objective"):
        read_job(path)
    with pytest.raises(TrainingError, match=r"result.json: cannot be read"):
        read_result(folder)
