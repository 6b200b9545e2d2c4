"""The benchmark of training steps: its candidates differ in what they say, and targets name candidates."""

import contextlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.encoder_steps import CANDIDATES, REFERENCE, SHAPES, TARGETS, Shape, simulated_batch, trainer

from benchmarks import encoder_steps
from eegfm.objectives.base import Objective
from eegfm.signal.montages.canonical import spread_montage


def test_targets_name_cases_and_candidates() -> None:
    assert TARGETS.keys() == SHAPES.keys()
    assert all(names.keys() <= CANDIDATES.keys() - {REFERENCE} for names in TARGETS.values())


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_step_trains_what_the_candidate_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_steps, "ENCODER", {"d_model": 32, "head_size": 16, "n_layers": 2})
    trainer.cache_clear()
    seen: list[tuple[str, str]] = []
    losses: list[float] = []
    forward = Objective.__call__

    def remember(self: Objective, *args: object) -> object:
        output = forward(self, *args)
        seen.append((self.encoder.config.attention, self.config.name))
        losses.append(float(output.loss.detach()))
        return output

    monkeypatch.setattr(Objective, "__call__", remember)
    step = trainer(name, Shape(2, 6, 4), 2)
    for _ in range(2):
        step(contextlib.nullcontext())
    attention, objective, *_ = CANDIDATES[name]
    assert seen == [(attention, objective["name"])] * 2
    assert losses[0] != losses[1]
    trainer.cache_clear()


def test_windows_have_the_shape_of_the_case() -> None:
    shape = Shape(2, 5, 3)
    batch = simulated_batch(spread_montage(5), shape)
    assert batch["signal"].shape == (2, 5, 300)
    assert batch["channel_positions"].shape == (2, 5, 3)
