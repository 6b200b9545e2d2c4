"""Lines of a training without a terminal: what they say, and how often."""

import logging
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer

from eegfm import progress
from eegfm.batch import TrainStep
from eegfm.training.logs.progress_lines import ProgressLines, StepBar
from eegfm.training.logs.training_log import TrainingLog
from eegfm.training.trainer import quieten


def run(monkeypatch: pytest.MonkeyPatch, step_s: float, n_steps: int, *, rank: int = 0, first_logged: int = 1) -> None:
    """Take steps of this many seconds and forty windows."""
    now_s = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    log = TrainingLog({}, n_steps, n_steps)
    lines = ProgressLines(n_steps)
    trainer: Any = SimpleNamespace(is_global_zero=rank == 0)
    module: Any = SimpleNamespace(training_log=log, device="cpu")
    lines.on_train_start(trainer, module)
    for number in range(n_steps):
        now_s[0] += step_s
        log.last_loss = 0.5 if number + 1 >= first_logged else None
        step = SimpleNamespace(number=number, n_windows=40)
        lines.on_train_batch_end(trainer, module, None, step, number)


def test_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(monkeypatch, step_s=0.5, n_steps=101, first_logged=30)
    assert caplog.messages == [
        "Training begins: 101 steps on cpu",
        "Step 21 of 101, 80 windows/s, about 40 s left",
        "Step 41 of 101, loss 0.5, 80 windows/s, about 30 s left",
        "Step 61 of 101, loss 0.5, 80 windows/s, about 20 s left",
        "Step 81 of 101, loss 0.5, 80 windows/s, about 10 s left",
        "Step 101 of 101, loss 0.5, 80 windows/s, about 0 s left",
    ]


def test_long_steps_have_a_line_each(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(monkeypatch, step_s=100.0, n_steps=3)
    assert caplog.messages[1:] == [
        "Step 2 of 3, loss 0.5, 0.4 windows/s, about 1 min 40 s left",
        "Step 3 of 3, loss 0.5, 0.4 windows/s, about 0 s left",
    ]


def test_a_training_that_goes_on_says_where(caplog: pytest.LogCaptureFixture) -> None:
    lines = ProgressLines(600, first_step=300)
    with caplog.at_level(logging.INFO):
        lines.on_train_start(SimpleNamespace(is_global_zero=True), SimpleNamespace(device="cpu"))
    assert caplog.messages == ["Training goes on: step 301 of 600, 300 left, on cpu"]


class Small(LightningModule):
    """A module of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, *_: Any) -> torch.Tensor:
        """A loss."""
        return self.weight.square()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain descent."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Steps:
    """A loader of empty steps; Lightning takes a list for a list of loaders."""

    def __init__(self, first: int, n_steps: int) -> None:
        self.numbers = range(first, n_steps)

    def __iter__(self) -> Iterator[TrainStep]:
        return (TrainStep(number, [], 0) for number in self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


@pytest.mark.parametrize("first", [0, 3])
def test_the_bar_counts_the_steps_of_the_plan(capsys: pytest.CaptureFixture[str], first: int) -> None:
    bar = StepBar(5, first)
    quieten()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False,
        callbacks=[bar],
    )  # fmt: skip
    trainer.fit(Small(), Steps(first, 5))
    shown = re.findall(r"Training: [^\r]*?(\d)/(\d) \[", capsys.readouterr().out)
    assert shown[0] == (str(first), "5")
    assert shown[-1] == ("5", "5")
    assert list(dict.fromkeys(shown)) == [(str(n), "5") for n in range(first, 6)]


def test_other_ranks_are_silent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(monkeypatch, step_s=100.0, n_steps=3, rank=1)
    assert caplog.messages == []
