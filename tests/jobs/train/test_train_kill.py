"""A training that is killed at any moment goes on by itself, and ends with the bytes of one that was not."""

import json
import logging
import os
from typing import Any

import pytest

from warm_process import WarmProcess

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills of POSIX")
IS_FULL = os.environ.get("EEGFM_TRAIN_KILLS") == "full"
CASES = [(20, 5, 1), (20, 5, 4)] if IS_FULL else [(2, 1, 4)]
"""Kills in all, those inside a save at least, and parts of a step."""
PROGRAM = "import runpy, sys; sys.path.insert(0, 'tests'); runpy.run_module('killed_trainings', run_name='__main__')"

Found = dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def killed(warm: WarmProcess, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What each case found, by parts of a step. One program runs them all: importing takes as long as a training."""
    folder = tmp_path_factory.mktemp("killed")
    asked = [(str(folder / str(n)), kills, in_saves, 3 + n, {"accumulate": n}) for kills, in_saves, n in CASES]
    done = warm.run(PROGRAM, json.dumps(asked), folder=folder, timeout_s=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    found = map(json.loads, done.stdout.splitlines()[-len(CASES) :])
    return {n: each for (*_, n), each in zip(CASES, found, strict=True)}


@pytest.mark.parametrize(("n_kills", "n_in_saves", "n_parts"), CASES)
def test_kills_leave_the_outcome_of_an_uninterrupted_training(
    killed: Found, n_kills: int, n_in_saves: int, n_parts: int
) -> None:
    found = killed[n_parts]
    logging.getLogger(__name__).info("kills %s, steps %s", found["kills"], found["n_lines"])
    assert len(found["kills"]) == n_kills
    assert sum(is_in_save for _, is_in_save in found["kills"]) >= min(n_in_saves, 3 if IS_FULL else 1), found["kills"]
    assert found["outcomes"]["killed"] == found["outcomes"]["whole"]
    assert found["sample_logs"]["killed"] == found["sample_logs"]["whole"]
    assert found["is_repeated_alike"]
    assert max(step for step, _ in found["kills"]) > 0, "some kills came after a checkpoint"
    assert found["left"] == ["best.ckpt", "step_52.ckpt", "step_56.ckpt", "step_60.ckpt"]
    assert found["hidden"] == [], "temporary files of killed processes are gone"
