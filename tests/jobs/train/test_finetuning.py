"""A supervised training as a run: it ends early, is found finished, goes on, and publishes the best validation."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightning import Trainer

from answered_store import SPLITS, TARGETS, answered_task, answered_windows, start_of, tuning
from contracts.finetuning_cases import ENCODERS
from eegfm.batch import TrainStep
from eegfm.errors import CheckpointError, SplitError
from eegfm.jobs.train.finetuning import FinetuningTask, finetuning, finetuning_job, fit_finetuning
from eegfm.jobs.train.pretrain import fit_here
from eegfm.jobs.train.result import PretrainResult
from eegfm.jobs.weights.answering import load_supervised
from eegfm.store.reader import SignalStore
from eegfm.training.module import PretrainModule
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.trainer import quieten
from person_tables import split_table

LOSSES = (5.0, 6.0, 4.0, 3.0, 3.5, 3.2, 9.0, 1.0, 1.0, 1.0)
"""Of the validations that follow each step: the best of patience 2 is that of step 4, and step 6 is the last."""


class Killed(BaseException):
    """What a kill looks like to a process that sees it coming."""


@pytest.fixture(scope="module")
def tasks(answered: SignalStore) -> dict[str, FinetuningTask]:
    return {kind: answered_task(answered, kind) for kind in TARGETS}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps that are taken."""
    taken: list[int] = []
    take = PretrainModule.training_step

    def noted(self: PretrainModule, step: TrainStep, batch_idx: int) -> None:
        taken.append(step.number + 1)
        take(self, step, batch_idx)

    monkeypatch.setattr(SupervisedModule, "training_step", noted)
    return taken


def compared(monkeypatch: pytest.MonkeyPatch, losses: Sequence[float] = LOSSES) -> None:
    """Have validations compared by these values."""
    monkeypatch.setattr(SupervisedModule, "monitored", property(lambda self: losses[self.global_step - 1]))


def stop_at(patch: pytest.MonkeyPatch, n_steps: int) -> None:
    """End a training after a step, before its validation."""
    take = PretrainModule.training_step

    def stopped(self: PretrainModule, step: TrainStep, batch_idx: int) -> None:
        take(self, step, batch_idx)
        if step.number + 1 == n_steps:
            raise Killed

    patch.setattr(SupervisedModule, "training_step", stopped)


def fit(task: FinetuningTask, runs: Path, **changes: Any) -> PretrainResult:
    asked = {"batch_size": 36, "n_epochs": 10, "patience": 2, "checkpoint": {"every_steps": 1}} | changes
    return fit_here(finetuning_job(tuning(**asked), task, start_of(), seed=0, phase="finetune"), runs)


def same(one: PretrainResult, other: PretrainResult) -> None:
    """Weights, history and numbers, but for times."""
    assert one.checkpoint.weights_sha256() == other.checkpoint.weights_sha256()
    assert one.checkpoint.header.n_steps == other.checkpoint.header.n_steps
    pd.testing.assert_frame_equal(one.history, other.history)
    without = {"windows_per_s"}
    assert {k: v for k, v in one.metrics.items() if k not in without} == {
        k: v for k, v in other.metrics.items() if k not in without
    }


def test_a_run_ends_early_and_publishes_the_best(
    tasks: dict[str, FinetuningTask], steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(monkeypatch)
    done = fit(tasks["binary"], tmp_path)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert done.history["step"].tolist() == steps
    assert (done.metrics["published_step"], done.metrics["best_step"]) == (4, 4)
    assert (done.checkpoint.header.n_steps, done.checkpoint.header.published) == (4, "best")
    assert done.metrics["best_val_balanced_accuracy"] == -3.0, "as it is logged: higher is better"
    four = fit(tasks["binary"], tmp_path / "four", n_epochs=4, patience=None)
    assert four.checkpoint.weights_sha256() == done.checkpoint.weights_sha256()

    steps.clear()
    same(fit(tasks["binary"], tmp_path), done)
    assert steps == [], "a run that has ended is finished"
    longer = fit(tasks["binary"], tmp_path, n_epochs=12)
    assert steps == [], "also one of more epochs"
    assert longer.checkpoint.weights_sha256() == done.checkpoint.weights_sha256()


def test_a_longer_run_goes_on_where_patience_has_not_ended(
    tasks: dict[str, FinetuningTask], steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(monkeypatch)
    short = fit(tasks["binary"], tmp_path, n_epochs=2)
    assert (short.metrics["published_step"], steps) == (1, [1, 2])
    steps.clear()
    longer = fit(tasks["binary"], tmp_path)
    assert steps == [3, 4, 5, 6]
    whole = fit(tasks["binary"], tmp_path / "whole")
    assert longer.checkpoint.weights_sha256() == whole.checkpoint.weights_sha256()


@pytest.mark.parametrize(("killed_at", "every_steps"), [(3, 2), (5, 3), (6, 1), (6, 3)])
def test_a_killed_run_ends_as_one_that_was_not(
    killed_at: int, every_steps: int, tasks: dict[str, FinetuningTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the validation after a step, when the state on the disk is of an earlier one."""
    compared(monkeypatch)
    asked: dict[str, Any] = {"checkpoint": {"every_steps": every_steps}}
    if "whole" not in _WHOLE:
        _WHOLE["whole"] = fit(tasks["binary"], tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, killed_at)
        with pytest.raises(Killed):
            fit(tasks["binary"], tmp_path, **asked)
    same(fit(tasks["binary"], tmp_path, **asked), _WHOLE["whole"])


_WHOLE: dict[str, PretrainResult] = {}


@pytest.mark.parametrize("strategy", ["two_stage", "gradual", "lora"])
def test_strategies_go_on_after_a_kill(
    strategy: str, tasks: dict[str, FinetuningTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: dict[str, Any] = {
        "two_stage": {"probe_epochs": 2}, "gradual": {"unfreeze_epoch": 1, "block_epochs": 1}, "lora": {"rank": 2},
    }[strategy]  # fmt: skip
    asked = {"strategy": {"name": strategy, **own}, "n_epochs": 5, "batch_size": 18, "checkpoint": {"every_steps": 3}}
    whole = fit(tasks["regression"], tmp_path / "whole", **asked)
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(Killed):
            fit(tasks["regression"], tmp_path, **asked)
    same(fit(tasks["regression"], tmp_path, **asked), whole)


def test_a_monitor_that_is_undefined_on_the_validation_is_one_line(
    tasks: dict[str, FinetuningTask], tmp_path: Path
) -> None:
    task = tasks["binary"]
    selects = [person for person, split in SPLITS.items() if split == "validation"]
    one_class = task.windows.assign(label=task.windows["label"].mask(task.windows["person"].isin(selects), "open"))
    lacking = FinetuningTask(task.name, task.target, one_class, task.splits, task.stores)
    with pytest.raises(SplitError, match=r"monitor val/auroc is not defined .* set monitor: val/loss, or keep more"):
        fit(lacking, tmp_path, monitor="val_auroc")
    done = fit(lacking, tmp_path, n_epochs=1)
    assert "best_val_loss" in done.metrics, "without a choice, validations are compared by their loss"


def test_outputs_without_a_yes_in_the_validation_are_compared_by_their_loss(
    tasks: dict[str, FinetuningTask],
) -> None:
    task = tasks["multilabel"]
    selects = task.windows["person"].isin([person for person, split in SPLITS.items() if split == "validation"])
    no = [
        np.zeros(4) if is_selecting else found
        for found, is_selecting in zip(task.windows["targets"], selects, strict=True)
    ]
    lacking = FinetuningTask(task.name, task.target, task.windows.assign(targets=no), task.splits, task.stores)

    def monitor(asked: FinetuningTask, **changes: Any) -> Any:
        return finetuning_job(tuning(**changes), asked, start_of(), seed=0).params.monitor

    assert (monitor(task), monitor(lacking)) == ("val/auroc", "val/loss")
    with pytest.raises(SplitError, match="monitor val/auroc is not defined where the answers of the validation hardly"):
        monitor(lacking, monitor="val/auroc")


def test_without_anybody_to_select_on_the_last_weights_are_published(
    tasks: dict[str, FinetuningTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    splits = split_table({person: "train" if split == "validation" else split for person, split in SPLITS.items()})
    task = tasks["binary"]
    done = fit(FinetuningTask(task.name, task.target, task.windows, splits, task.stores), tmp_path, n_epochs=2)
    assert done.checkpoint.header.published == "last"
    assert done.metrics["published_step"] == done.metrics["n_steps"] == 4
    assert "nobody to validate on; all epochs are trained, and the last weights are kept" in caplog.text


def test_persons_who_are_tested_are_not_trained_on(tasks: dict[str, FinetuningTask]) -> None:
    job = finetuning_job(tuning(), tasks["binary"], start_of(), seed=0, phase="finetune")
    assert {*job.mixture["person"]} == {person for person, split in SPLITS.items() if split != "test"}


def test_a_test_person_that_is_put_into_training_is_found(tasks: dict[str, FinetuningTask], tmp_path: Path) -> None:
    from dataclasses import replace

    job = finetuning_job(tuning(), tasks["binary"], start_of(), seed=0, phase="finetune")
    tested = (
        answered_windows().query("cut == 'binary' and person == 'mine:p12'").assign(identity="mine:p12", split="train")
    )
    leaked = pd.concat([job.mixture, tested.assign(weight=1.0, drawn_by="windows", max_windows_per_person=0,
                                                   is_rounded=False, mix_cut="binary")], ignore_index=True)  # fmt: skip
    with pytest.raises(SplitError, match=r"trains on 1 persons \(mine:p12\), kept out of training in split test"):
        fit_here(replace(job, mixture=leaked), tmp_path)


def test_a_start_decides_the_encoder_also_of_fresh_weights(tasks: dict[str, FinetuningTask]) -> None:
    with pytest.raises(TypeError, match="'start'"):
        finetuning(tuning(), tasks["binary"])  # type: ignore[call-arg]
    module, _ = finetuning(tuning(strategy={"name": "scratch"}), tasks["binary"], start=start_of(ENCODERS["gru"]))
    assert module.get_encoder().name == "gru"


def test_it_is_usable_without_a_job(tasks: dict[str, FinetuningTask], tmp_path: Path) -> None:
    """The module and its data in a trainer of one's own, which gives the weights of the job."""
    module, data = finetuning(tuning(), tasks["binary"], start=start_of())
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    done = fit_finetuning(tuning(patience=None), tasks["binary"], tmp_path, start=start_of())
    own = module.checkpoint()
    assert own.tensors.keys() == done.checkpoint.tensors.keys()
    for name, value in own.tensors.items():
        np.testing.assert_array_equal(value, done.checkpoint.tensors[name], err_msg=name)
    module.save_encoder(tmp_path / "one.pt")
    module.save_encoder(tmp_path / "one.safetensors")
    assert load_supervised(done.checkpoint).get_encoder().name == "patch_transformer"
    assert module.get_task_head() is module.supervised.head


def test_the_head_of_a_start_is_kept_only_where_that_is_asked_for(
    tasks: dict[str, FinetuningTask], caplog: pytest.LogCaptureFixture
) -> None:
    module, _ = finetuning(tuning(), tasks["binary"], start=start_of(), seed=0)
    start = module.checkpoint()

    def head_of(seed: int, **load: Any) -> dict[str, np.ndarray]:
        found, _ = finetuning(tuning(load=load), tasks["binary"], start=start, seed=seed)
        tensors = found.checkpoint().tensors
        return {name: value for name, value in tensors.items() if name.startswith("objective.")}

    own = {name: value for name, value in start.tensors.items() if name.startswith("objective.")}
    with caplog.at_level(logging.INFO):
        fresh = head_of(1)
    assert "finetune: the head is fresh (finetune.load.head)" in caplog.text
    assert fresh.keys() == own.keys()
    assert any((fresh[name] != own[name]).any() for name in own)
    kept = head_of(1, head="keep")
    for name, value in own.items():
        np.testing.assert_array_equal(kept[name], value)
    jobs = [finetuning_job(tuning(load={"head": head}), tasks["binary"], start, seed=1) for head in ("keep", "fresh")]
    assert jobs[0].params.identity() != jobs[1].params.identity(), "it decides weights, so it names the run"
    with pytest.raises(CheckpointError, match=r"finetune\.load\.head is keep, but the start has no head"):
        finetuning(tuning(load={"head": "keep"}), tasks["multiclass"], start=start, seed=0)
