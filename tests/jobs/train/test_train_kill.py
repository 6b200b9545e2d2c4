"""A training that is killed at any moment goes on by itself, and ends with the bytes of one that was not."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kedro_project import PROJECT_ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills of POSIX")
IS_FULL = os.environ.get("EEGFM_TRAIN_KILLS") == "full"
CASES = [(20, 5, 1), (20, 5, 4)] if IS_FULL else [(2, 1, 1), (2, 1, 4)]
"""Kills in all, those inside a save at least, and parts of a step."""


def killed_trainings(folder: Path, n_kills: int, n_in_saves: int, seed: int, changes: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, str(PROJECT_ROOT / "tests" / "killed_trainings.py"), str(folder)]
    done = subprocess.run(
        [*command, str(n_kills), str(n_in_saves), str(seed), json.dumps(changes)],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(("n_kills", "n_in_saves", "n_parts"), CASES)
def test_kills_leave_the_outcome_of_an_uninterrupted_training(
    tmp_path: Path, n_kills: int, n_in_saves: int, n_parts: int
) -> None:
    changes = {"accumulate": n_parts}
    found = killed_trainings(tmp_path, n_kills, n_in_saves, 3 + n_parts, changes)
    logging.getLogger(__name__).info("kills %s, steps %s", found["kills"], found["n_lines"])
    assert len(found["kills"]) == n_kills
    assert sum(is_in_save for _, is_in_save in found["kills"]) >= min(n_in_saves, 3 if IS_FULL else 1), found["kills"]
    assert found["outcomes"]["killed"] == found["outcomes"]["whole"]
    assert found["sample_logs"]["killed"] == found["sample_logs"]["whole"]
    assert found["is_repeated_alike"]
    assert max(step for step, _ in found["kills"]) > 0, "some kills came after a checkpoint"
    assert found["left"] == ["best.ckpt", "step_52.ckpt", "step_56.ckpt", "step_60.ckpt"]
    assert found["hidden"] == [], "temporary files of killed processes are gone"
