"""A training in two processes that ``torch.distributed.run`` starts, from tables to a result in this process."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.checkpoint import Checkpoint
from eegfm.errors import CheckpointError, ConfigError, TrainingError
from eegfm.jobs.train.pretrain import fit_pretraining
from eegfm.jobs.train.result import PretrainResult
from eegfm.stopping import Stopped
from eegfm.training.blocks import FreezeRule
from eegfm.training.config import PretrainParams
from kedro_project import PROJECT_ROOT
from two_corpora import read_two_corpora, write_two_corpora

PARAMS = PretrainParams.model_validate(
    {
        "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 8, "n_layers": 1},
        "optimizer": {"name": "adamw", "learning_rate": 3e-3, "eps": 1e-4},
        "batch_size": 20, "n_steps": 4, "log_interval_steps": 1, "validation_interval_steps": 4, "seed": 3,
        "accelerator": "cpu", "progress_bar": False, "devices": 2,
    }
)  # fmt: skip

COMMAND = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from eegfm.jobs.train.pretrain import fit_pretraining
from eegfm.stopping import stoppable
from eegfm.training.config import PretrainParams
from kedro_project import PROJECT_ROOT
from two_corpora import read_two_corpora

mixture, splits, stores = read_two_corpora(Path(sys.argv[1]))
params = PretrainParams.model_validate_json(sys.argv[3])
with stoppable():
    fit_pretraining(mixture, stores, params, Path(sys.argv[2]), splits=splits)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("launch")
    write_two_corpora(folder)
    return folder


def fit(folder: Path, runs: str, start: Checkpoint | None = None, **changes: Any) -> PretrainResult:
    mixture, splits, stores = read_two_corpora(folder)
    names: list[str] = []

    def refuse(fingerprint: str, identity: Mapping[str, Any]) -> None:
        if "refused" in runs:
            raise CheckpointError(f"{fingerprint} must not start")
        names.append(fingerprint)

    params = PARAMS.model_copy(update=changes)
    done = fit_pretraining(mixture, stores, params, folder / runs, splits=splits, refuse=refuse, start=start)
    assert names == [done.checkpoint.header.fingerprint]
    return done


def test_the_result_is_that_of_one_process(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "eegfm"):
        ranks = fit(folder, "two")
    said = [record.getMessage() for record in caplog.records]
    assert sum("Training begins: 4 steps" in line for line in said) == 1
    assert not [line for line in said if line.startswith("rank 1")]
    one = fit(folder, "one", devices=1)
    assert ranks.checkpoint.header == one.checkpoint.header
    assert ranks.checkpoint.tensors.keys() == one.checkpoint.tensors.keys()
    for name, value in one.checkpoint.tensors.items():
        np.testing.assert_allclose(ranks.checkpoint.tensors[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    pd.testing.assert_frame_equal(ranks.history, one.history, rtol=1e-4)
    assert ranks.metrics.keys() == one.metrics.keys()
    assert ranks.metrics["n_windows"] == 80
    assert ranks.run_directory == folder / "two" / one.checkpoint.header.fingerprint
    assert (ranks.run_directory / "params.json").is_file()
    assert len(list((ranks.run_directory / "tensorboard").glob("events*"))) == 1
    assert ranks.reconstructions.keys() == one.reconstructions.keys() == {"hbn", "tuh"}
    for corpus, fields in one.reconstructions.items():
        assert ranks.reconstructions[corpus].keys() == fields.keys()
        for name, value in fields.items():
            found = ranks.reconstructions[corpus][name]
            assert type(found) is type(value), name
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-4) if isinstance(value, np.ndarray) else None
            assert isinstance(value, np.ndarray) or found == value


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="tests/ranks kills a rank without torch")
def test_a_rank_that_is_killed_in_a_step_ends_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    def kill(jobs: Path) -> None:
        while not killed:
            time.sleep(0.05)
            for path in jobs.glob(".eegfm-ranks-*/rank-1.json"):
                if [log for log in (folder / "killed").glob("*/metrics.csv") if log.read_text().count("\n") > 1]:
                    killed.append(json.loads(path.read_text())["pid"])
                    os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr("tempfile.tempdir", str(folder))
    threading.Thread(target=kill, args=(folder,), daemon=True).start()
    with pytest.raises(TrainingError, match=r"rank 1 of 2 \(process \d+ on .*\) was killed by signal 9"):
        fit(folder, "killed", n_steps=100_000, validation_interval_steps=100_000)
    assert not list(folder.glob(".eegfm-ranks-*"))


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="starts two ranks four times")
def test_two_ranks_that_are_told_to_stop_go_on_to_the_outcome_of_an_uninterrupted_training(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {
        "n_steps": 200, "log_interval_steps": 5, "validation_interval_steps": 50, "accumulate": 2,
        "freeze": (FreezeRule(parts=("encoder",), until_epoch=30),),
    }  # fmt: skip

    def stop() -> None:
        while not [path for path in (folder / "stopped").glob("*/metrics.csv") if path.read_text().count("\n") > 8]:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Stopped) as caught:
        fit(folder, "stopped", **changes)
    assert caught.value.code == 143
    assert "of 200 is kept" in caught.value.after
    [kept] = (folder / "stopped").glob("*/checkpoints/step_*.ckpt")
    step = int(kept.stem.removeprefix("step_"))
    assert 0 < step < 200
    with caplog.at_level("INFO", "eegfm"):
        ranks = fit(folder, "stopped", **changes)
    assert sum(f"goes on from step {step} of 200" in text for text in caplog.messages) == 1
    assert not [text for text in caplog.messages if "other conditions" in text]
    whole = fit(folder, "whole", **changes)
    pd.testing.assert_frame_equal(ranks.history, whole.history, rtol=1e-5)
    assert ranks.checkpoint.header == whole.checkpoint.header
    for name, value in whole.checkpoint.tensors.items():
        np.testing.assert_allclose(ranks.checkpoint.tensors[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    later = fit(folder, "later", whole.checkpoint, freeze=(FreezeRule(parts=("encoder",)),))
    assert later.metrics["n_missing"] == 0
    for name, value in whole.checkpoint.tensors.items():
        if name.startswith("encoder."):
            np.testing.assert_array_equal(later.checkpoint.tensors[name], value)


def _is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="starts two ranks each time")
@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        (signal.SIGTERM, False, 143),
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGKILL, False, -9),
    ],
)
def test_a_command_that_ends_leaves_a_checkpoint_of_the_step_that_its_ranks_were_in(
    folder: Path, tmp_path: Path, number: signal.Signals, to_group: bool, code: int
) -> None:
    changes = {"n_steps": 100_000, "validation_interval_steps": 100_000, "checkpoint": {"every_steps": None}}
    params = PretrainParams.model_validate(PARAMS.model_dump() | changes)
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), str(tmp_path), params.model_dump_json()], cwd=PROJECT_ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while not (logged := [path for path in tmp_path.glob("*/metrics.csv") if path.read_text().count("\n") > 1]):
        assert command.poll() is None, command.communicate()[1]
        time.sleep(0.05)
    ranks = [json.loads(path.read_text())["pid"] for path in tmp_path.glob(".eegfm-ranks-*/rank-*.json")]
    os.killpg(command.pid, number) if to_group else command.send_signal(number)
    said = command.communicate(timeout=100)[1]
    assert command.returncode == code, said
    while any(_is_there(pid) for pid in ranks):
        time.sleep(0.05)
    assert not list(tmp_path.glob(".eegfm-ranks-*")), "the command or the last rank removes it"
    step = max(int(row["step"]) for row in csv.DictReader(logged[0].read_text().splitlines()))
    assert [path.name for path in tmp_path.glob("*/checkpoints/*")] == [f"step_{step}.ckpt"]
    assert said.count("stopped by") == said.count(f"; a checkpoint of step {step} of 100000 is kept") == (code > 0)
    assert "Traceback" not in said


def test_what_cannot_be_is_said_before_a_process_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eegfm.jobs.train.launch.run_ranks", lambda *_: pytest.fail("a process started"))
    with pytest.raises(CheckpointError, match="must not start"):
        fit(folder, "refused")
    with pytest.raises(
        ConfigError, match=r"batch_size 18 .*\(hbn 5\.4, tuh 3\.6 windows on each of 2 devices\).* 10 or 20"
    ):
        fit(folder, "batch", batch_size=18)
    assert json.loads(PARAMS.model_dump_json())["devices"] == 2
