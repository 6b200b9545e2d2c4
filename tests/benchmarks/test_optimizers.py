"""The benchmark of optimizers: every member of the menu is a candidate, and each takes steps."""

import sys
from pathlib import Path
from typing import get_args

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.optimizers import CANDIDATES, REFERENCE, _lines, stepper, steps_s

from benchmarks import optimizers
from eegfm.training.optimizers.config import OptimizerConfig


def test_every_optimizer_is_measured() -> None:
    menu = {member.model_fields["name"].default for member in get_args(get_args(OptimizerConfig)[0])}
    assert {choices["name"] for choices in CANDIDATES.values()} == menu


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_candidate_takes_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"name": "patch_transformer", "d_model": 16, "head_size": 8}
    monkeypatch.setattr(optimizers, "ENCODER", small)
    stepper.cache_clear()
    assert 0 < steps_s(name, "cpu", 1, 2, Path()) < 1
    stepper.cache_clear()


def test_ratios_are_over_adamw() -> None:
    lines = list(_lines("cpu", {REFERENCE: [1.0, 2.0, 3.0], "lamb": [6.0, 5.0, 1.0]}))
    assert [line.values["times_adamw"] for line in lines] == [1.0, 2.5]
