"""Hostile files of weights: each ends in one line within a second, whatever memory and time they ask for."""

import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.errors import CheckpointError
from eegfm.jobs.weights.exported import load_exported, read_exported_config
from eegfm.jobs.weights.foreign_weights import read_foreign_weights

MAX_GROWN_BYTES = 300 << 20


def inside_itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["state_dict"] = {"model": found}
    return found


def nested(n_levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {"w": torch.zeros(2)}
    for _ in range(n_levels):
        found = {"model": found}
    return found


def stretched(dtype: torch.dtype = torch.float32, n: int = 10**12) -> Tensor:
    return torch.zeros(1, dtype=dtype).expand(n)


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "inside itself": (inside_itself, "inside itself"),
    "nested": (lambda: nested(200), "more than 8 times"),
    "sparse": (lambda: {"w": torch.eye(3).to_sparse()}, "weight 'w' is a sparse tensor"),
    "sparse rows": (lambda: {"w": torch.eye(3).to_sparse_csr()}, "weight 'w' is a sparse tensor"),
    "quantized": (lambda: {"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)}, "quantized"),
    "ragged": (lambda: {"w": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])}, "a nested tensor"),
    "without values": (lambda: {"w": torch.zeros(2, device="meta")}, "without values, on the device 'meta'"),
    "complex": (lambda: {"w": torch.zeros(2, dtype=torch.complex64)}, "of type complex64"),
    "conjugate": (lambda: {"w": torch.zeros(2, dtype=torch.complex64).conj()}, "of type complex64"),
    "name 0": (lambda: {0: torch.zeros(2), "w": torch.zeros(2)}, "holds the name 0"),
    "name None": (lambda: {None: torch.zeros(2)}, "holds the name None"),
    "name of parts": (lambda: {("a", 1): torch.zeros(2)}, "holds the name ('a', 1)"),
    "surrogate": (lambda: {"a\ud800": torch.zeros(2)}, r"holds the name 'a\ud800'"),
    "stretched": (lambda: {"w": stretched()}, "its tensors are stretched"),
    "stretched half": (lambda: {"w": stretched(torch.float16)}, "its tensors are stretched"),
    "stretched whole": (lambda: {"w": stretched(torch.int64)}, "its tensors are stretched"),
    "stretched a little, often": (
        lambda: {f"w{i}": stretched(n=10**6) for i in range(100)}, "up to 'w16', of shape (1000000,), take 0.068 GB",
    ),
}  # fmt: skip


def message(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_foreign_weights(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) < len(str(path)) + 500
    return text


@pytest.mark.filterwarnings("ignore")  # torch warns of kinds of tensors that it has deprecated
@pytest.mark.parametrize("kind", list(HOSTILE))
def test_a_hostile_tensor_or_name_is_one_line(tmp_path: Path, kind: str) -> None:
    make, expected = HOSTILE[kind]
    torch.save(make(), tmp_path / "w.pt")
    assert expected in message(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (torch.zeros(2, dtype=torch.bool), np.bool_, (2,)),
        (torch.zeros(0, 3), np.float32, (0, 3)),
        (torch.zeros(2, dtype=torch.float64), np.float32, (2,)),
        (torch.ones(2).to(torch.float8_e4m3fn), np.float32, (2,)),
        (torch.zeros(2, dtype=torch.uint16), np.uint16, (2,)),
        (torch.arange(512).expand((1, -1)), np.int64, (1, 512)),
        (torch.nn.Parameter(torch.zeros(2)), np.float32, (2,)),
        (torch.ones(1).expand(1000), np.float32, (1000,)),
    ],
)
def test_plain_tensors_get_in(tmp_path: Path, value: Tensor, dtype: type, shape: tuple[int, ...]) -> None:
    torch.save({"w": value}, tmp_path / "w.pt")
    found = read_foreign_weights(tmp_path / "w.pt").tensors["w"]
    assert (found.dtype, found.shape) == (np.dtype(dtype), shape)
    np.testing.assert_array_equal(found, value.detach().to(torch.float64).numpy())


def safetensors(header: bytes, data: bytes = b"", n_header: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if n_header is None else n_header) + header + data


def entry(shape: str = "[2]", offsets: str = "[0,8]", dtype: str = "F32") -> bytes:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'.encode()


FILES = {
    "header of a petabyte": (safetensors(b"{}", n_header=10**15), "header is said to have 1000000000000000 bytes"),
    "header longer than the file": (safetensors(b"{}", n_header=3), "header is said to have 3 bytes, the file has 10"),
    "deep header": (safetensors(b'{"a":' * 100_000), "nested deeper"),
    "deep text": (safetensors(b'{"__metadata__":{"x":' + b"[" * 99 + b"]" * 99 + b"}}"), "nested deeper than 64"),
    "name twice": (
        safetensors(b'{"a":' + entry() + b',"a":' + entry() + b"}", bytes(8)), "the name 'a' occurs twice",
    ),
    "overlap": (safetensors(b'{"a":' + entry() + b',"b":' + entry() + b"}", bytes(8)), "invalid offset"),
    "shape beyond its bytes": (safetensors(b'{"a":' + entry("[1000000000000]") + b"}", bytes(8)), "invalid shape"),
    "shape that overflows": (safetensors(b'{"a":' + entry(f"[{2**40},{2**40}]") + b"}", bytes(8)), "overflow"),
    "number of 5000 digits": (safetensors(b'{"a":' + entry(f"[{'9' * 5000}]") + b"}", bytes(8)), "5000 digits"),
    "half bytes": (safetensors(b'{"a":' + entry("[16]", dtype="F4") + b"}", bytes(8)), "float4"),
    "list": (safetensors(b"[]"), "no JSON object"),
    "nothing": (b"", "ends before its header"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(FILES))
def test_a_hostile_safetensors_file_is_one_line(tmp_path: Path, kind: str) -> None:
    data, expected = FILES[kind]
    (tmp_path / "w.safetensors").write_bytes(data)
    assert expected in message(tmp_path / "w.safetensors")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "data", [b"\x80\x02(((.", b"hello world" * 30, b"\x80\x04\x95", b"PK\x03\x04" + bytes(99), b""]
)
def test_a_damaged_pickle_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(data)
    assert "w.pt: " in message(tmp_path / "w.pt")


def test_a_zip_file_that_inflates_is_not_unpacked(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(4)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "w.pt", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, bytes(80 << 20) if name.endswith("data/0") else plain.read(name))
    assert "inflate to 0.0839 GB and are not unpacked" in message(tmp_path / "w.pt")


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFO")
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_pipe_is_no_file_of_weights(tmp_path: Path, name: str) -> None:
    subprocess.run(["mkfifo", str(tmp_path / name)], check=True)
    assert "is no regular file" in message(tmp_path / name)


def test_no_hostile_file_takes_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind in ("stretched", "stretched half", "stretched whole"):
        torch.save(HOSTILE[kind][0](), tmp_path / "w.pt")
        message(tmp_path / "w.pt")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MAX_GROWN_BYTES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 50_000 + "]" * 50_000, "nested deeper than 64 levels"),
        ('{"model_type": "eegfm", "montage": NaN}', "NaN is no number"),
        ('{"model_type": "eegfm", "model_type": "other"}', "occurs twice"),
        ('{"model_type": "eegfm", "montage": "m", "header": {}}', "is no configuration of this eegfm"),
    ],
)
def test_a_hostile_configuration_beside_exported_weights_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=expected) as caught:
        read_exported_config(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        load_exported(tmp_path)
