"""Finetuning without Kedro: a trainer of one's own, files to start from, and heads that are left out."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer

from answered_store import TARGETS, answered_task, start_of, tuning
from eegfm.batch import TrainStep
from eegfm.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eegfm.inference.table_loader import TableLoader
from eegfm.io.start_file import StartFileDataset
from eegfm.jobs.train import FinetuningTask, finetuning, pretraining
from eegfm.jobs.train.finetuning import fit_finetuning, training_rows
from eegfm.jobs.weights.answering import load_answers
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.jobs.weights.export import export
from eegfm.jobs.weights.import_weights import import_weights
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams
from eegfm.training.data_module import WindowData
from eegfm.training.supervised.module import SupervisedModule
from eegfm.training.trainer import quieten
from eegfm.windows.runs import expand


@pytest.fixture(scope="module")
def tasks(answered: SignalStore) -> dict[str, FinetuningTask]:
    return {kind: answered_task(answered, kind) for kind in TARGETS}


@pytest.fixture(scope="module")
def finetuned(tasks: dict[str, FinetuningTask], tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Path]:
    """A published run of one epoch, and the folder of its runs."""
    runs = tmp_path_factory.mktemp("runs")
    done = fit_finetuning(tuning(checkpoint={"every_steps": 1}), tasks["binary"], runs, start=start_of())
    return done.checkpoint, runs


def own_trainer() -> Trainer:
    quieten()
    return Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, log_every_n_steps=1,
    )  # fmt: skip


def test_a_trainer_of_ones_own(tasks: dict[str, FinetuningTask], tmp_path: Path) -> None:
    """Fit, test, predict, and what the module gives: its encoder, its head, answers, and a file that says the same."""
    task = tasks["multiclass"]
    module, data = finetuning(tuning(n_epochs=2), task, start=start_of())
    assert isinstance(module, SupervisedModule)
    assert isinstance(data, WindowData)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer = own_trainer()
    trainer.fit(module, datamodule=data)
    assert trainer.global_step == module.n_steps == 6
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    for part in (module.get_encoder(), module.get_task_head()):
        names = {f"objective.{name}" for name, one in module.objective.named_modules() if one is part}
        assert any(name.startswith(tuple(names)) for name in moved)

    batches: list[TrainStep] = list(data.val_dataloader())
    trainer.test(module, data.val_dataloader(), verbose=False)
    tested = {name: float(value) for name, value in trainer.callback_metrics.items()}
    module.eval()
    with torch.no_grad():
        said = torch.cat([module(batch) for step in batches for batch in step.batches])
    truths = torch.cat([batch["targets"]["label"] for step in batches for batch in step.batches])
    assert tested["test/accuracy"] == pytest.approx(float((said.argmax(dim=1) == truths).float().mean()))
    assert tested["test_acc"] == tested["test/accuracy"]

    rows = expand(task.windows)
    loader = TableLoader(task.stores["mine"], rows, 5)
    found = own_trainer().predict(module, loader)
    assert found is not None
    places = torch.cat([part.places for part in found])
    assert places.sort().values.tolist() == list(range(len(rows)))
    predicted = torch.cat([part.said for part in found])
    torch.testing.assert_close(predicted.sum(dim=1), torch.ones(len(rows)))

    module.save_encoder(tmp_path / "mine.safetensors")
    answers = load_answers(load_checkpoint(tmp_path / "mine.safetensors"))
    assert answers.target == task.target
    some = next(iter(loader))
    recorded_uv = some.batch["samples"].transpose(1, 2) * some.batch["scales_uv"][:, :, None]
    with torch.no_grad():
        torch.testing.assert_close(answers(recorded_uv.float()), predicted[: len(some.places)], atol=1e-5, rtol=1e-5)


def as_safetensors(checkpoint: Checkpoint, runs: Path, folder: Path) -> Path:
    save_checkpoint(folder / "x.safetensors", checkpoint)
    return folder / "x.safetensors"


def as_pt(checkpoint: Checkpoint, runs: Path, folder: Path) -> Path:
    from eegfm.nn.torch_file import save_torch_file

    save_torch_file(folder / "x.pt", checkpoint)
    return folder / "x.pt"


def as_ckpt(checkpoint: Checkpoint, runs: Path, folder: Path) -> Path:
    [best] = runs.glob("*/checkpoints/best.ckpt")
    shutil.copy(best, folder / "x.ckpt")
    return folder / "x.ckpt"


def as_import(checkpoint: Checkpoint, runs: Path, folder: Path) -> Path:
    export(checkpoint, ExportParams(formats=("huggingface",)), folder / "export")
    imported = import_weights(folder / "export" / "model.safetensors", ImportParams.model_construct())
    return as_safetensors(imported.checkpoint, runs, folder)


FILES: list[Callable[[Checkpoint, Path, Path], Path]] = [as_safetensors, as_pt, as_ckpt, as_import]


@pytest.mark.parametrize("written", FILES, ids=lambda one: one.__name__.removeprefix("as_"))
def test_a_finetuned_file_is_a_start_and_its_head_is_left_out(
    written: Callable[[Checkpoint, Path, Path], Path],
    tasks: dict[str, FinetuningTask],
    finetuned: tuple[Checkpoint, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    checkpoint, runs = finetuned
    start = StartFileDataset(filepath=str(written(checkpoint, runs, tmp_path))).load()
    with caplog.at_level(logging.INFO):
        module, _ = finetuning(tuning(), tasks["regressions"], start=start)
    has_encoder(module, checkpoint)
    heads = {name for name in checkpoint.tensors if name.startswith("objective.")}
    assert module.header is not None
    assert module.header.start is not None
    assert set(module.header.start["left_out"]) == heads
    assert "left out (objective.head." in caplog.text
    assert module.get_task_head() is not None


def test_a_finetuned_encoder_is_the_start_of_a_phase(
    tasks: dict[str, FinetuningTask], finetuned: tuple[Checkpoint, Path], caplog: pytest.LogCaptureFixture
) -> None:
    task, (checkpoint, _) = tasks["binary"], finetuned
    params = PretrainParams(n_steps=1, batch_size=4, accelerator="cpu", start="file")
    mixture = training_rows(task)
    with caplog.at_level(logging.INFO):
        module, _ = pretraining(params, mixture, task.splits, task.stores, phase="adapt", start=checkpoint)
    has_encoder(module, checkpoint)
    assert module.objective.__class__.__name__ == "Masked"
    assert "left out (objective.head." in caplog.text


def has_encoder(module: Any, checkpoint: Checkpoint) -> None:
    """Compare all weights of the encoder."""
    state = module.get_encoder().state_dict()
    assert state.keys() == {name.removeprefix("encoder.") for name in checkpoint.tensors if name.startswith("encoder.")}
    for name, value in state.items():
        np.testing.assert_array_equal(value.numpy(), checkpoint.tensors[f"encoder.{name}"])
