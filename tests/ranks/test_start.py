"""Ranks speak through their parent, end with it, and end it with one line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eegfm.errors import ConfigError, EegfmError, StoreError, TrainingError
from eegfm.ranks.ends import FOLDER_PREFIX, STOPPED, states
from eegfm.ranks.start import Nodes, rank_command, run_ranks
from kedro_project import PROJECT_ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
WAIT_S = 60
PARENT = """
import logging, sys
from pathlib import Path
from eegfm.ranks.ends import STOPPED, states
from eegfm.ranks.start import Nodes, run_ranks
from eegfm.stopping import stoppable
logging.basicConfig(level=logging.INFO)
with stoppable():
    run_ranks("stub_rank", Path(sys.argv[1]), Nodes(2))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def start(*acts: str) -> None:
        (tmp_path / "job.json").write_text(json.dumps(acts))
        run_ranks("stub_rank", tmp_path / "job.json", Nodes(len(acts)))

    return start


def pids(folder: Path) -> list[int]:
    return [int(path.read_text() or 0) for path in folder.glob("began-*")]


def wait_for(is_true: Callable[[], bool]) -> None:
    limit_s = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < limit_s
        time.sleep(0.02)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def none_left(folder: Path) -> bool:
    return not any(is_there(pid) for pid in pids(folder))


def test_the_first_rank_speaks_as_usual_and_others_warn(
    run: Callable[..., None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    with caplog.at_level("INFO", "eegfm"):
        run("speak", "speak")
    said = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert ("eegfm.stub", "INFO", "one thing 3") in said
    assert ("eegfm.stub", "WARNING", "long enough") in said
    assert sum("take care" in text for _, _, text in said) == 1
    assert not [text for _, _, text in said if "OMP_NUM_THREADS" in text or "noise" in text]
    others = [(level, text) for _, level, text in said if text.startswith("rank 1: ")]
    assert [(level, text[-2:]) for level, text in others] == [("WARNING", " …")]


@pytest.mark.parametrize(
    ("acts", "error", "message"),
    [
        (("lose", "refuse"), StoreError, "^rank 1 found damage$"),
        (
            ("lose", "die"),
            TrainingError,
            r"^rank 1 of 2 \(process \d+ on \S+\) was killed by signal 9 \(Linux .*ended",
        ),
    ],
)
def test_the_command_fails_with_the_error_of_the_rank_that_failed_first(
    run: Callable[..., None], tmp_path: Path, acts: tuple[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(*acts)
    assert none_left(tmp_path)


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="waits for processes that hear no signal")
def test_a_deaf_rank_is_killed(run: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^rank 0 of 2 \(process"):
        run("die", "deaf")
    assert none_left(tmp_path)


def _parent(folder: Path, said: Path) -> subprocess.Popen[str]:
    """Start a parent of two ranks with a job in this folder; the ranks leave what they did in another."""
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(["work", "work"]))
    path = os.pathsep.join([str(PROJECT_ROOT / "src"), str(Path(__file__).parent)])
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder / "job.json")],
        env=os.environ | {"PYTHONPATH": path, "STUB_FOLDER": str(said)}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: len([pid for pid in pids(said) if pid]) == 2)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_ranks_save_and_end_with_the_command(tmp_path: Path, number: signal.Signals, code: int) -> None:
    folder = tmp_path / f"{FOLDER_PREFIX}test"
    process = _parent(folder, tmp_path)
    process.send_signal(number)
    err = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == code, err
    if number != signal.SIGKILL:
        assert err.count("stopped by") == err.count("; all is saved\n") == 1
        assert none_left(tmp_path)
    wait_for(lambda: none_left(tmp_path))
    assert len(list(tmp_path.glob("saved-*"))) == 2
    if number == signal.SIGKILL:
        assert not folder.exists(), "nobody else removes it"
    else:
        assert [state.state for state in states(folder)] == [STOPPED, STOPPED]


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="the message has a cheaper test in test_ends")
def test_a_killed_starter_is_named_and_its_ranks_end(tmp_path: Path) -> None:
    process = _parent(tmp_path / "job", tmp_path)
    stat = next(Path(f"/proc/{pids(tmp_path)[0]}/").glob("stat")).read_text()
    starter = int(stat.rsplit(")", 1)[1].split()[1])
    os.kill(starter, signal.SIGKILL)
    err = process.communicate(timeout=WAIT_S)[1]
    assert process.returncode == 1
    assert f"torch.distributed.run (process {starter}), which started the 2 ranks, was killed by signal 9" in err
    assert none_left(tmp_path)


@pytest.mark.skipif(not os.environ.get("EEGFM_RANK_ENDS"), reason="what is printed has a cheaper test in test_ends")
def test_a_module_that_is_not_there_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TrainingError, match=r"^the 1 processes of the training did not start"):
        run_ranks("eegfm.no_such_module", tmp_path / "job.json", Nodes(1))
    assert "No module named eegfm.no_such_module" in caplog.text


def test_nodes_meet_by_slurm_or_by_name() -> None:
    job = Path("/shared/job.json")
    slurm = {"SLURM_JOB_ID": "1234567", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "16"}
    command = rank_command("module", job, Nodes(4, 3), slurm)
    assert command[:2] == ["srun", "--nodes=3"]
    assert {"--ntasks-per-node=1", "--cpus-per-task=16", "--nproc-per-node=4", "--nnodes=3"} <= set(command)
    assert [word for word in command if word.startswith("--rdzv-endpoint=") and word.endswith(":34567")]
    assert command[-3:] == ["-m", "module", str(job)]
    command = rank_command("module", job, Nodes(4, 3, "node1:29500"), {})
    assert command[0] == sys.executable
    assert "--rdzv-endpoint=node1:29500" in command
    with pytest.raises(ConfigError, match=r"num_nodes is 2, and this is no job of SLURM.*sbatch.*rendezvous"):
        rank_command("module", job, Nodes(1, 2), {})
    with pytest.raises(ConfigError, match="num_nodes is 2, and this job of SLURM has 3"):
        rank_command("module", job, Nodes(1, 2), slurm)
    assert issubclass(ConfigError, EegfmError)
