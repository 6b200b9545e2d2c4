"""Weights out of files of others: every wrapping that is known, and nothing executed."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from checkpoints import header
from eegfm.checkpoint import Checkpoint, save_checkpoint
from eegfm.errors import CheckpointError
from eegfm.jobs.weights.foreign_weights import read_foreign_weights

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "half": torch.tensor([0.5], dtype=torch.bfloat16)}
WRAPPED: dict[str, Any] = {
    "bare": STATE,
    "lightning": {"state_dict": STATE, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
    "labram": {"model": STATE, "optimizer": {"lr": 0.1}, "args": argparse.Namespace(lr=0.1)},
    "module": {"module": STATE, "step": 3},
    "twice": {"state_dict": {"model": STATE, "scale": 2.0}},
}


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("executed"),)


def message(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_foreign_weights(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("wrapping", list(WRAPPED))
@pytest.mark.parametrize("suffix", [".ckpt", ".pth"])
def test_every_wrapping_is_taken_off(tmp_path: Path, wrapping: str, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save(WRAPPED[wrapping], path)
    found = read_foreign_weights(path)
    assert set(found.tensors) == set(STATE)
    np.testing.assert_array_equal(found.tensors["a.weight"], [[0, 1, 2], [3, 4, 5]])
    assert found.tensors["half"].dtype == np.float32
    assert found.file_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert set(read_foreign_weights(tmp_path / "w.safetensors").tensors) == set(STATE)


def test_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": STATE, "callback": Code()}, tmp_path / "w.ckpt")
    text = message(tmp_path / "w.ckpt")
    assert "holds more than weights, or is damaged" in text
    assert "save its state dict alone as .safetensors" in text
    assert not (tmp_path / "executed").exists()


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    assert "no such file; set FOREIGN_WEIGHTS to a file of weights" in message(tmp_path / "none.ckpt")
    (tmp_path / "w.h5").write_bytes(b"x")
    assert "files of weights end in .safetensors, .ckpt" in message(tmp_path / "w.h5")
    for name, found in (("w.safetensors", "not readable as safetensors"), ("w.ckpt", "")):
        (tmp_path / name).write_bytes(b"no" * 100)
        assert found in message(tmp_path / name)
    save_file({}, tmp_path / "empty.safetensors")
    assert "holds no weights" in message(tmp_path / "empty.safetensors")


def test_what_is_no_state_dict_is_listed(tmp_path: Path) -> None:
    torch.save({"weights": STATE, "epoch": 3}, tmp_path / "w.pt")
    assert "holds epoch, weights, no state dict; known nestings: state_dict" in message(tmp_path / "w.pt")
    torch.save([1, 2], tmp_path / "w.pt")
    assert "holds list, no state dict" in message(tmp_path / "w.pt")


def test_an_eegfm_checkpoint_needs_no_import(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "e.safetensors", Checkpoint({"w": np.ones(1, dtype=np.float32)}, header()))
    assert "is an eegfm checkpoint and needs no import; copy it to" in message(tmp_path / "e.safetensors")
