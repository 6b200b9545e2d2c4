"""Lines of a training without a terminal: what they say, and how often."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from eegfm import progress
from eegfm.training.logs.progress_lines import ProgressLines
from eegfm.training.logs.training_log import TrainingLog


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


def test_other_ranks_are_silent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(monkeypatch, step_s=100.0, n_steps=3, rank=1)
    assert caplog.messages == []
