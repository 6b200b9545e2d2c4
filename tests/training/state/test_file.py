"""A state is read as it was written, or not at all, and nothing in a file is executed."""

import errno
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eegfm.errors import CheckpointError, DamageError, TrainingError
from eegfm.nn.torch_file import load_torch_checkpoint
from eegfm.training.state.file import read_state, seal_of, write_state
from state_files import a_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_state(tmp_path / "step_7.ckpt", a_state())
    return tmp_path / "step_7.ckpt"


def plain(value: Any) -> Any:
    """With lists in the place of tensors."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.float().tolist()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def test_a_state_comes_back(path: Path) -> None:
    found = read_state(path)
    assert plain(asdict(found)) == plain(asdict(a_state()))
    np.testing.assert_array_equal(found.checkpoint().tensors["encoder.weight"], np.arange(600.0).reshape(20, 30))
    assert found.checkpoint().header.n_steps == 7


def test_weights_are_in_the_file_once(tmp_path: Path) -> None:
    weight = torch.randn(100_000)
    write_state(tmp_path / "a.ckpt", a_state(tensors={"encoder.w": weight}, module={"objective.w": weight}))
    assert (tmp_path / "a.ckpt").stat().st_size < 1.5 * 400_000


def test_a_reader_of_encoders_reads_it_too(path: Path) -> None:
    found = load_torch_checkpoint(path)
    assert found.header == a_state().header
    assert found.identity() == a_state().checkpoint().identity()


class Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "foreign pickle": lambda path: path.write_bytes(pickle.dumps(Canary())),
    "foreign pickle of torch": lambda path: torch.save({"state_format": 1, "module": Canary()}, path),
    "weights alone": lambda path: torch.save(OrderedDict(a=torch.ones(2)), path),
    "a list": lambda path: torch.save([1, 2], path),
    "another seal": lambda path: torch.save(torch.load(path, weights_only=True) | {"seal": "00000000"}, path),
    "another step": lambda path: torch.save(torch.load(path, weights_only=True) | {"step": 8}, path),
    "another weight": lambda path: torch.save(
        torch.load(path, weights_only=True) | {"module": {"objective.weight": torch.ones(20, 30)}}, path
    ),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_noticed_and_nothing_is_executed(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # it changes torch's default
    DAMAGE[name](path)
    with pytest.raises(DamageError, match="step_7") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert not Path("executed").exists()


def test_no_flipped_bit_is_read_as_another_state(path: Path) -> None:
    whole, kept = path.read_bytes(), plain(asdict(read_state(path)))
    n_noticed = 0
    for offset in np.random.default_rng(0).integers(len(whole), size=150):
        path.write_bytes(whole)
        _flip(path, int(offset))
        try:
            assert plain(asdict(read_state(path))) == kept, offset  # e.g. a time stamp of the archive
        except CheckpointError:
            n_noticed += 1
    assert n_noticed > 70


def test_an_older_format_is_one_line_with_the_remedy(path: Path) -> None:
    content = torch.load(path, weights_only=True)
    torch.save(content | {"state_format": 0}, path)
    with pytest.raises(CheckpointError, match=r"is of format 0, .*resume: false.*the eegfm that wrote it") as caught:
        read_state(path)
    assert not isinstance(caught.value, DamageError)
    old = {name: value for name, value in content.items() if name != "seal"} | {"eegfm": '{"format_version": 3}'}
    torch.save(old | {"seal": seal_of(old)}, path)
    with pytest.raises(CheckpointError, match=r"is of format 3, .*resume: false") as caught:
        read_state(path)
    assert not isinstance(caught.value, DamageError)


def test_weights_that_are_not_finite_are_not_written(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(TrainingError, match=r"not finite after step 7 \(encoder.weight\)"):
        write_state(path, a_state(tensors={"encoder.weight": torch.tensor([1.0, torch.nan])}))
    assert path.read_bytes() == before


def test_a_full_disk_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr("eegfm.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_state(path, a_state(8))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_seal_is_over_everything() -> None:
    contents: list[Any] = [
        1, True, 1.0, "1", None, [1], {"a": 1}, {"a": [1]}, torch.ones(2), torch.ones(2, 1), torch.ones(2).int(),
        torch.ones(2).bfloat16(), [1, 1], {"b": 1}, torch.tensor(1.0), torch.empty(0),
    ]  # fmt: skip
    assert len({seal_of({"x": content}) for content in contents}) == len(contents)
    with pytest.raises(TypeError, match="a state holds float64"):
        seal_of({"x": np.float64(1)})
