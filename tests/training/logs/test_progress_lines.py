"""Lines of a training without a terminal: what they say, how often, and that nothing waits for the device between."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eegfm import progress
from eegfm.training.logs.progress_lines import ProgressLines


class CountedLoss(torch.Tensor):
    """A loss on a device, which counts how often somebody waits for it."""

    n_looks = 0

    def __float__(self) -> float:
        CountedLoss.n_looks += 1
        return 0.5


def run(monkeypatch: pytest.MonkeyPatch, step_s: float, n_steps: int, *, rank: int = 0) -> int:
    """Take steps of this many seconds and forty windows; return how often the loss was looked at."""
    now_s = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    CountedLoss.n_looks = 0
    lines = ProgressLines(n_steps)
    trainer: Any = SimpleNamespace(is_global_zero=rank == 0)
    module: Any = SimpleNamespace(last_loss=torch.zeros(()).as_subclass(CountedLoss), device="cpu")
    lines.on_train_start(trainer, module)
    for number in range(n_steps):
        now_s[0] += step_s
        step = SimpleNamespace(number=number, n_windows=40)
        lines.on_train_batch_end(trainer, module, None, step, number)
    return CountedLoss.n_looks


def test_a_line_every_ten_seconds_and_one_look_at_the_loss_for_each(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        n_looks = run(monkeypatch, step_s=0.5, n_steps=101)
    assert caplog.messages == [
        "Training begins: 101 steps on cpu",
        "Step 21 of 101, loss 0.5, 80 windows/s, about 40 s left",
        "Step 41 of 101, loss 0.5, 80 windows/s, about 30 s left",
        "Step 61 of 101, loss 0.5, 80 windows/s, about 20 s left",
        "Step 81 of 101, loss 0.5, 80 windows/s, about 10 s left",
        "Step 101 of 101, loss 0.5, 80 windows/s, about 0 s left",
    ]
    assert n_looks == 5


def test_long_steps_have_a_line_each(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(monkeypatch, step_s=100.0, n_steps=3)
    assert caplog.messages[1:] == [
        "Step 2 of 3, loss 0.5, 0.4 windows/s, about 1 min 40 s left",
        "Step 3 of 3, loss 0.5, 0.4 windows/s, about 0 s left",
    ]


def test_other_ranks_are_silent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert run(monkeypatch, step_s=100.0, n_steps=3, rank=1) == 0
    assert caplog.messages == []
