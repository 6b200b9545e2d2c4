"""A finetuning that is killed at any moment goes on by itself, and ends with the bytes of one that was not."""

import json
import os
from pathlib import Path

import pytest

from warm_process import WarmProcess

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills of POSIX")
N_KILLS, N_IN_SAVES = (20, 5) if os.environ.get("EEGFM_TRAIN_KILLS") == "full" else (2, 1)
PROGRAM = "import runpy, sys; sys.path.insert(0, 'tests'); runpy.run_module('killed_finetunings', run_name='__main__')"


def test_kills_leave_the_outcome_of_an_uninterrupted_finetuning(warm: WarmProcess, tmp_path: Path) -> None:
    asked = [(str(tmp_path / "case"), N_KILLS, N_IN_SAVES, 7, {})]
    done = warm.run(PROGRAM, json.dumps(asked), folder=tmp_path, timeout_s=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["kills"]) == N_KILLS
    assert found["outcomes"]["killed"] == found["outcomes"]["whole"]
    assert found["sample_logs"]["killed"] == found["sample_logs"]["whole"]
    assert found["is_repeated_alike"]
    assert max(step for step, _ in found["kills"]) > 0, "some kills came after a checkpoint"
    assert "best.ckpt" in found["left"]
    assert found["hidden"] == [], "temporary files of killed processes are gone"
