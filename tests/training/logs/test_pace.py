"""Speed between two looks."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eegfm.batch import TrainStep
from eegfm.training.logs.pace import Pace, device_memory


def step(size: int) -> TrainStep:
    batches: Any = [{"montage": "m", "samples": torch.zeros(size, 400, 1)}]
    return TrainStep(0, batches, size)


def test_windows_and_tokens_since_the_last_look_without_validations(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    encoder = SimpleNamespace(channels_per_token=2, patch_samples=100)
    spec = SimpleNamespace(montages={"m": SimpleNamespace(n_channels=5)})
    backbone: Any = SimpleNamespace(encoder=encoder, encoder_spec=spec)
    pace = Pace(backbone)
    assert pace.look() == {}
    pace.count(step(100))  # warms caches
    assert pace.look() == {}
    now[0] += 2.0
    pace.count(step(4))
    pace.pause()
    now[0] += 50.0
    pace.go_on()
    now[0] += 2.0
    pace.count(step(4), n_processes=2)
    # Three rows of two channels, four patches: twelve tokens.
    assert pace.look() == {"speed/windows_per_s": 12 / 4, "speed/tokens_per_s": 12 * 12 / 4}
    now[0] += 1.0
    pace.count(step(5))
    assert pace.look()["speed/windows_per_s"] == 5.0


def test_memory_is_logged_where_a_device_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_memory(torch.device("cpu")) == {}
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**29)
    assert device_memory(torch.device("cuda", 0)) == {"device/memory_gib": 1.5}
