"""The file that a training starts from: three forms of one encoder, and everything that is none."""

import dataclasses
import hashlib
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kedro.io import DatasetError

from checkpoints import header
from eegfm.checkpoint import HEADER_KEY, Checkpoint, CheckpointHeader, save_checkpoint
from eegfm.errors import CheckpointError, EegfmError
from eegfm.io.recorded import Identified
from eegfm.io.start_file import StartFileDataset
from eegfm.nn.torch_file import TENSORS, save_torch_file, torch_content
from eegfm.project.console import one_line
from kedro_project import run_python

RNG = np.random.default_rng(0)
GOOD = Checkpoint({"encoder.w": RNG.random((40, 9), dtype=np.float32), "encoder.n": np.arange(7)}, header())
N_FLIPS = 60


def _save_resume(path: Path, checkpoint: Checkpoint) -> None:
    """A file that a run goes on from: the same keys, and more of which a start needs nothing."""
    more = {"step": 3, "versions": {HEADER_KEY: "1.0"}, "optimizer": {"state": {0: {"exp_avg": torch.ones(9)}}}}
    torch.save({**torch_content(path, checkpoint), **more}, path)


SAVE: dict[str, Callable[[Path, Checkpoint], None]] = {
    ".safetensors": save_checkpoint, ".pt": save_torch_file, ".ckpt": _save_resume,
}  # fmt: skip


def dataset(path: Path) -> StartFileDataset:
    return StartFileDataset(filepath=str(path), variable="ENCODER")


def message(path: Path) -> str:
    """One line, the same when it is checked and when it is loaded, where both see the fault."""
    with pytest.raises(DatasetError) as info:
        dataset(path).load()
    assert isinstance(info.value.__cause__, EegfmError), info.value.__cause__
    line = str(info.value.__cause__)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("suffix", list(SAVE))
def test_each_form_gives_the_encoder(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"encoder{suffix}"
    SAVE[suffix](path, GOOD)
    found = dataset(path)
    found.check()
    assert found.header_without_torch() == GOOD.header
    assert isinstance(found, Identified), "the record of an encoder says which file its training started from"
    assert found.identity() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert dataset(tmp_path / "ENCODER is not set").identity() is None
    loaded = found.load()
    assert loaded.identity() == GOOD.identity()
    assert {name: value.dtype for name, value in loaded.tensors.items()} == {
        name: value.dtype for name, value in GOOD.tensors.items()
    }
    with pytest.raises(DatasetError, match="only read"):
        found.save(GOOD)


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_headers_are_read_without_torch(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"encoder{suffix}"
    SAVE[suffix](path, GOOD)
    code = """
import sys
from eegfm.io.start_file import StartFileDataset
dataset = StartFileDataset(filepath=sys.argv[1])
dataset.check()
print(dataset.header_without_torch().seed, "torch" in sys.modules)
"""
    assert run_python(code, str(path)).stdout.strip() == "3 False"


@pytest.mark.parametrize("suffix", list(SAVE))
def test_a_damaged_file_is_read_right_or_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"encoder{suffix}"
    SAVE[suffix](path, GOOD)
    good, n_refused = path.read_bytes(), 0
    rng = np.random.default_rng(1)
    for k in range(N_FLIPS):
        content = bytearray(good)
        where = int(rng.integers(len(content)))
        if k % 2:
            content[where] ^= 1 << int(rng.integers(8))
        else:
            content[where : where + 64] = rng.bytes(len(content[where : where + 64]))
        path.write_bytes(content)
        line = ""
        try:
            loaded = dataset(path).load()
        except Exception as error:  # noqa: BLE001  whatever it is, it must become one line
            line = one_line(error) or repr(error)
        n_refused += bool(line)
        assert line.startswith(f"{path}: ") if line else loaded.identity() == GOOD.identity()
        assert "\n" not in line
    assert n_refused > N_FLIPS // 4  # an archive of torch has blanks, and names that are there twice
    for n_kept in (0, 1, 7, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:n_kept])
        assert message(path).startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_every_flipped_weight_is_seen(suffix: str, tmp_path: Path) -> None:
    """Torch does not compare the checksums of its archive."""
    path = tmp_path / f"encoder{suffix}"
    SAVE[suffix](path, GOOD)
    good = path.read_bytes()
    first = good.index(GOOD.tensors["encoder.w"].tobytes())
    path.write_bytes(good[: first + 5] + bytes([good[first + 5] ^ 1]) + good[first + 6 :])
    dataset(path).check()
    assert message(path) == f"{path}: damaged: its weights are not those that were saved"


class _Canary:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch", "torch beside ours", "pickle", "old torch"])
def test_nothing_in_a_foreign_pickle_is_executed(form: str, tmp_path: Path) -> None:
    path, canary = tmp_path / "encoder.pt", _Canary(tmp_path / "canary")
    if form == "pickle":
        path.write_bytes(pickle.dumps({HEADER_KEY: canary}))
    elif form == "torch beside ours":
        torch.save({**torch_content(path, GOOD), "optimizer": canary}, path)
    else:
        torch.save({HEADER_KEY: "{}", "x": canary}, path, _use_new_zipfile_serialization=form == "torch")
    assert message(path).startswith(f"{path}: ")
    if form != "torch beside ours":
        with pytest.raises(CheckpointError):
            dataset(path).check()
    assert not canary.path.exists()


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_a_file_without_our_header(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"encoder{suffix}"
    torch.save({"state_dict": {"w": torch.ones(2)}}, path)
    line = f"{path}: holds no eegfm header; import foreign weights before using them"
    assert message(path) == line
    with pytest.raises(CheckpointError, match=re.escape(line)):
        dataset(path).check()
    torch.save(torch.ones(2), path)
    assert "no eegfm header" in message(path)


@pytest.mark.parametrize("suffix", list(SAVE))
def test_an_older_format_is_named_with_a_remedy(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"encoder{suffix}"
    older = GOOD.header.model_copy(update={"format_version": 4})
    SAVE[suffix](path, Checkpoint(GOOD.tensors, older))
    assert message(path).startswith(f"{path}: is of format 4, this eegfm reads format ")
    assert "pretrain (or import) it again" in message(path)
    with pytest.raises(CheckpointError, match="is of format 4"):
        dataset(path).check()


@pytest.mark.parametrize("tensors", [None, [1], {"w": 1}, {"w": torch.ones(2).to_sparse()}, {1: torch.ones(2)}])
def test_weights_that_are_none(tensors: Any, tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    torch.save({**torch_content(path, GOOD), TENSORS: tensors}, path)
    assert message(path).startswith(f"{path}: ")


def test_headers_of_others_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pt"
    other = torch_content(path, Checkpoint(GOOD.tensors, header(seed=4)))
    torch.save({**torch_content(path, GOOD), HEADER_KEY: other[HEADER_KEY]}, path)
    assert message(path) == f"{path}: damaged: its header is not the one that was saved"


def test_paths_that_are_no_file_of_an_encoder(tmp_path: Path) -> None:
    assert message(tmp_path / "ENCODER is not set").startswith("environment variable ENCODER is not set; set it")
    assert message(tmp_path / "none.pt") == f"{tmp_path}/none.pt: no such file; ENCODER names it"
    assert "is no regular file; ENCODER" in message(tmp_path)
    (tmp_path / "x.onnx").write_bytes(b"x")
    assert message(tmp_path / "x.onnx") == (
        f"{tmp_path}/x.onnx: files of encoders end in .safetensors, .pt, .ckpt; ENCODER names this one"
    )


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    bad = Checkpoint({"w": np.full(2, np.nan, dtype=np.float32)}, header())
    with pytest.raises(CheckpointError, match="not finite"):
        save_torch_file(tmp_path / "encoder.pt", bad)
    assert not list(tmp_path.iterdir())


def test_the_header_knows_its_start() -> None:
    assert CheckpointHeader.model_validate_json(header(start={"n_matched": 3}).model_dump_json()).start == {
        "n_matched": 3
    }


def test_the_state_of_a_run_is_a_start(tmp_path: Path) -> None:
    """What ``eegfm.training.state`` writes, where that is there."""
    files = pytest.importorskip("eegfm.training.state.file")
    content = pytest.importorskip("eegfm.training.state.content")
    path = tmp_path / "step_3.ckpt"
    own: dict[str, Any] = {"fingerprint": "f", "step": 3, "n_steps": 4}
    empty = {field.name: {} for field in dataclasses.fields(content.TrainState)}
    tensors = {name: torch.from_numpy(value) for name, value in GOOD.tensors.items()}
    files.write_state(path, content.TrainState(**empty | own | {"header": GOOD.header, "tensors": tensors}))
    dataset(path).check()
    assert dataset(path).load().identity() == GOOD.identity()
