"""A finished training is found again without its states, and is the same."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from answered_store import answered_task, start_of, tuning
from eegfm.jobs.finetune import finished
from eegfm.jobs.finetune.finished import fit_once, remove_old
from eegfm.jobs.train.finetuning import finetuning_job
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.pretrain import fit_training
from eegfm.store.reader import SignalStore


@pytest.fixture(scope="module")
def job(answered: SignalStore) -> TrainingJob:
    asked = tuning(batch_size=36, checkpoint={"every_steps": 1})
    return finetuning_job(asked, answered_task(answered, "binary"), start_of(), seed=0)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that are trained."""
    names: list[str] = []

    def noted(job: TrainingJob, runs: Path) -> object:
        names.append(job.phase)
        return fit_training(job, runs)

    monkeypatch.setattr(finished, "fit_training", noted)
    return names


def test_a_finished_run_keeps_its_result_alone(
    job: TrainingJob, trained: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = fit_once(job, tmp_path)
    assert not list(tmp_path.rglob("*.ckpt"))
    second = fit_once(replace(job, params=job.params.model_copy(update={"license": "mine"})), tmp_path)
    assert trained == ["finetune"]
    assert second.checkpoint.weights_sha256() == first.checkpoint.weights_sha256()
    assert second.checkpoint.header == first.checkpoint.header.model_copy(update={"license": "mine"})
    assert second.metrics == first.metrics
    pd.testing.assert_frame_equal(second.history, first.history)
    assert second.run_directory == first.run_directory

    (first.run_directory / "result" / "history.parquet").write_bytes(b"torn")
    with caplog.at_level(logging.WARNING):
        third = fit_once(job, tmp_path)
    assert "history.parquet: missing or damaged; run" in caplog.text
    assert "is trained again" in caplog.text
    assert trained == ["finetune"] * 2
    assert third.checkpoint.weights_sha256() == first.checkpoint.weights_sha256()
    fit_once(replace(job, params=job.params.model_copy(update={"resume": False})), tmp_path)
    assert trained == ["finetune"] * 3

    older = fit_once(replace(job, params=job.params.model_copy(update={"seed": 1})), tmp_path).run_directory
    remove_old(tmp_path, None, {third.run_directory.name}, ())
    assert older.is_dir()
    remove_old(tmp_path, 1, {third.run_directory.name}, ())
    assert (older.exists(), third.run_directory.is_dir()) == (False, True)


def test_what_was_said_is_removed_with_old_runs(tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.mkdir()
    for age, name in enumerate(("new", "middle", "old", "own")):
        for ending in ("parquet", "json"):
            (said / f"{name}.{ending}").write_bytes(b"")
            os.utime(said / f"{name}.{ending}", (1000 - age, 1000 - age))

    def kept() -> set[str]:
        assert {file.stem for file in said.glob("*.json")} == {file.stem for file in said.glob("*.parquet")}
        return {file.stem for file in said.iterdir()}

    remove_old(tmp_path, None, (), {"own"})
    assert kept() == {"new", "middle", "old", "own"}
    remove_old(tmp_path, 2, (), {"own"})
    assert kept() == {"new", "own"}, "the latest one beside that of this finetuning"
