"""The windows that a run took, and the speed of the run."""

import logging
import time

import pytest
import torch

from eegfm.batch import TrainStep
from eegfm.training.logs.throughput import ThroughputMonitor


def step(
    monitor: ThroughputMonitor, seconds: float, monkeypatch: pytest.MonkeyPatch, now: list[float], n_ranks: int = 1
) -> None:
    now[0] += seconds
    batch = [{"corpus": "hbn", "samples": torch.zeros(7, 1)}, {"corpus": "tuh", "samples": torch.zeros(3, 1)}]
    monitor.on_train_batch_end(None, None, None, TrainStep(0, batch, 10 * n_ranks), 0)


def test_speed_leaves_out_validation_and_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monitor = ThroughputMonitor()
    assert monitor.windows_per_s == 0.0
    step(monitor, 50.0, monkeypatch, now)
    step(monitor, 2.0, monkeypatch, now)
    now[0] += 1000.0
    monitor.on_validation_end(None, None)
    step(monitor, 3.0, monkeypatch, now)
    assert monitor.windows_per_s == pytest.approx(20 / 5)
    assert monitor.n_windows == {"hbn": 21, "tuh": 9}
    assert monitor.corpus_ratios() == {"hbn": 0.7, "tuh": 0.3}


def test_a_rank_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = ThroughputMonitor()
    step(monitor, 0.0, monkeypatch, [0.0], n_ranks=4)
    assert monitor.n_windows == {"hbn": 28, "tuh": 12}


def test_the_realised_mixture_is_said(caplog: pytest.LogCaptureFixture) -> None:
    monitor = ThroughputMonitor()
    monitor.n_windows.update({"tuh": 901, "hbn": 2099})
    with caplog.at_level(logging.INFO, "eegfm"):
        monitor.on_train_end(None, None)
    assert "shares of 3000 windows: hbn 0.6997, tuh 0.3003" in caplog.text
