"""The last states are kept, and what is damaged is passed over with a line."""

import logging
from pathlib import Path

import pytest
import torch

from eegfm.errors import CheckpointError
from eegfm.training.state.folder import StateFolder
from state_files import a_state


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "checkpoints", 3)
    for step in (2, 4, 6, 8):
        made.save(a_state(step))
    return made


def names(folder: StateFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir())


def test_the_last_three_are_kept(folder: StateFolder) -> None:
    assert names(folder) == ["step_4.ckpt", "step_6.ckpt", "step_8.ckpt"]
    folder.save_best(a_state(6))
    folder.save(a_state(10))
    assert names(folder) == ["best.ckpt", "step_10.ckpt", "step_6.ckpt", "step_8.ckpt"]
    state, best = folder.newest("abc"), folder.best("abc")
    assert state is not None
    assert best is not None
    assert (state.step, best.step) == (10, 6)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert StateFolder(tmp_path / "not there", 3).newest() is None
    assert StateFolder(tmp_path, 3).best() is None


def test_what_is_damaged_is_passed_over_with_a_line(folder: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.folder / "step_8.ckpt").write_bytes(b"")
    data = bytearray((folder.folder / "step_6.ckpt").read_bytes())
    data[len(data) // 2] ^= 1
    (folder.folder / "step_6.ckpt").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        state = folder.newest("abc")
    assert state is not None
    assert state.step == 4
    assert [("step_8" in line, "step_6" in line) for line in caplog.messages] == [(True, False), (False, True)]
    assert all(line.endswith("the checkpoint before it is used") for line in caplog.messages)
    folder.save(a_state(5))
    assert names(folder) == ["step_4.ckpt", "step_5.ckpt"], "what could not be read goes when the run has gone on"


def test_a_state_under_the_name_of_another_is_not_used(folder: StateFolder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.folder / "step_4.ckpt").replace(folder.folder / "step_9.ckpt")
    state = folder.newest("abc")
    assert state is not None
    assert state.step == 8
    assert folder.newest("other run") is None
    assert "is of run abc, not of other run" in caplog.text


def test_another_format_is_no_damage(folder: StateFolder) -> None:
    path = folder.folder / "step_8.ckpt"
    torch.save(torch.load(path, weights_only=True) | {"state_format": 99}, path)
    with pytest.raises(CheckpointError, match="is of format 99"):
        folder.newest("abc")


def test_leftovers_of_killed_processes_go(folder: StateFolder) -> None:
    for name in (".step_10.ckpt.123.tmp", ".best.ckpt.7.tmp"):
        (folder.folder / name).write_bytes(b"half")
    folder.tidy()
    assert names(folder) == ["step_4.ckpt", "step_6.ckpt", "step_8.ckpt"]
    folder.clear()
    assert folder.newest() is None
