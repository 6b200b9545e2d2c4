import re
import resource
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pymatreader
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from drawn_examples import examples
from eegfm.errors import RecordingError
from eegfm.signal.matlab.mat5 import INFLATE_BYTES
from eegfm.signal.matlab.read import read_variables
from eegfm.signal.matlab.values import MAX_INFLATION, OBJECT_BYTES, SMALL_BYTES
from eegfm.signal.sniff import HDF5_MAGIC, is_matlab
from set_files import fields, write_set

ALL = {"a": None, "s": {"x": None}}
ENOUGH = 1 << 30


def code_of(path: Path, max_bytes: int = ENOUGH, wanted=ALL) -> str:
    with pytest.raises(RecordingError) as caught:
        read_variables(path, wanted, max_bytes)
    assert path.name in caught.value.reason
    return caught.value.code


numbers = st.sampled_from(["f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">f4", ">i2"]).flatmap(
    lambda dtype: st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(1, 2)).map(
        lambda shape: np.arange(np.prod(shape)).reshape(shape if shape[2] > 1 else shape[:2]).astype(dtype)
    )
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(value=np.arange(4, dtype=np.int8).reshape(2, 2), packed=False)
@given(
    value=numbers | st.text(st.characters(codec="latin-1", exclude_characters="\0"), max_size=9), packed=st.booleans()
)
def test_values_come_back_as_scipy_wrote_them(tmp_path, value, packed):
    path = tmp_path / "v.mat"
    savemat(path, {"other": np.arange(9), "a": value, "later": "text"}, do_compression=packed)
    found = read_variables(path, ALL, ENOUGH)
    assert list(found) == ["a"]
    if isinstance(value, str):
        assert found["a"] == value
    else:
        np.testing.assert_array_equal(found["a"], value)
        assert found["a"].dtype.kind == value.dtype.kind


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
@pytest.mark.parametrize("n_elements", [1, 2, 5])
def test_struct_arrays_give_the_wanted_fields_only(tmp_path, container, n_elements):
    path = tmp_path / "v.mat"
    items = [{"y": np.ones(50), "x": float(i), "t": f"name{i}"} for i in range(n_elements)]
    write_set(path, {"s": items}, np.eye(2), container=container, in_struct=False)
    assert [list(item) for item in read_variables(path, ALL, ENOUGH)["s"]] == [["x"]] * n_elements
    found = read_variables(path, {"s": {"x": None, "t": None}, "missing": None}, ENOUGH)
    assert [(item["x"].item(), item["t"]) for item in found["s"]] == [(i, f"name{i}") for i in range(n_elements)]
    assert [set(item) for item in read_variables(path, {"s": None}, ENOUGH)["s"]] == [{"x", "y", "t"}] * n_elements


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
def test_empty_fields_are_there_and_empty(tmp_path, container):
    path = tmp_path / "v.mat"
    write_set(path, {"s": [{"x": [], "t": ""}] * 2, "a": ""}, "x.fdt", container=container, in_struct=False)
    found = read_variables(path, {"s": None, "a": None}, ENOUGH)
    assert [np.size(item["x"]) for item in found["s"]] == [0, 0]
    assert [len(item["t"]) for item in found["s"]] == [0, 0]
    assert len(found["a"]) == 0


def test_hdf5_values_equal_those_of_pymatreader(tmp_path):
    path = tmp_path / "v.mat"
    content = fields(("Fz", "Cz", "Pz"), 100, 250.0, [("a", 1.0, 0.0), ("b", 2.5, 1.0)])
    write_set(path, content, np.random.default_rng(0).normal(size=(3, 100)).astype("f4"), container="v7.3")
    theirs = pymatreader.read_mat(path)["EEG"]
    (ours,) = read_variables(path, {"EEG": None}, ENOUGH)["EEG"]
    np.testing.assert_array_equal(ours["data"], theirs["data"])
    assert [item["labels"] for item in ours["chanlocs"]] == theirs["chanlocs"]["labels"]
    assert [item["latency"].item() for item in ours["event"]] == list(theirs["event"]["latency"])
    assert (ours["srate"].item(), ours["ref"]) == (theirs["srate"], theirs["ref"])


@pytest.mark.parametrize("packed", [True, False])
def test_what_is_of_no_use_is_none_and_what_follows_is_read(tmp_path, packed):
    path = tmp_path / "v.mat"
    struct_ = np.array([(np.array(["ab", "cd"]), 1 + 2j, 7.0)], dtype=[(n, object) for n in "mzx"])
    savemat(path, {"s": struct_, "a": np.float32(3)}, do_compression=packed)
    found = read_variables(path, {"s": None, "a": None}, ENOUGH)
    assert (found["s"][0]["m"], found["s"][0]["z"]) == (None, None)
    assert (found["s"][0]["x"].item(), found["a"].item()) == (7.0, 3.0)


def test_big_endian_files_are_read(tmp_path):
    """Files of old workstations: 1 by 2 doubles named a."""
    flags, dims, name = (
        struct.pack(">IIII", 6, 8, 6, 0),
        struct.pack(">IIii", 5, 8, 1, 2),
        struct.pack(">HH4s", 1, 1, b"a"),
    )
    body = flags + dims + name + struct.pack(">IIdd", 9, 16, 1.5, -2.0)
    (tmp_path / "v.mat").write_bytes(b" " * 124 + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(read_variables(tmp_path / "v.mat", ALL, ENOUGH)["a"], [[1.5, -2.0]])


def test_containers_are_known_by_their_first_bytes(tmp_path):
    savemat(tmp_path / "v.mat", {"a": 1})
    assert is_matlab((tmp_path / "v.mat").read_bytes()[:128])
    assert is_matlab(HDF5_MAGIC)
    assert not is_matlab(b"MATLAB 5.0".ljust(128))
    assert not is_matlab(b"<html>".ljust(128))


@settings(max_examples=examples(75), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(container=st.sampled_from(["v5", "v7"]), at=st.integers(128, 3000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_changed_byte_gives_values_or_a_rejection(tmp_path, container, at, byte, cut):
    path = tmp_path / "v.mat"
    if not path.exists() or not (tmp_path / container).exists():
        write_set(path, {"s": [{"x": 1.0, "y": "b"}] * 3, "a": "text"}, np.eye(9), container=container, in_struct=False)
        (tmp_path / container).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / container).read_bytes())
    at = 128 + (at - 128) % (len(content) - 128)
    content[at] = byte
    path.write_bytes(content[: at + 1] if cut else content)
    with suppress(RecordingError):
        read_variables(path, {"s": None, "a": None, "data": None}, ENOUGH)


def test_a_flipped_bit_in_a_compressed_variable_is_found(tmp_path):
    path = tmp_path / "v.mat"
    savemat(path, {"a": np.random.default_rng(0).normal(size=5000)}, do_compression=True)
    content = bytearray(path.read_bytes())
    n_found = 0
    for at in range(400, len(content), 997):
        changed = content.copy()
        changed[at] ^= 4
        path.write_bytes(changed)
        n_found += code_of(path) == "matlab_unreadable"
    assert n_found > 20


@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_in_what_is_not_wanted_is_found_too(tmp_path, packed):
    path = tmp_path / "v.mat"
    savemat(path, {"a": 1.0, "other": np.random.default_rng(0).normal(size=500)}, do_compression=packed)
    content = path.read_bytes()
    for n_cut in (1, 1000, 3000):
        path.write_bytes(content[:-n_cut])
        assert code_of(path) == "matlab_unreadable"


@pytest.mark.parametrize("n_behind", [1, 2, 3, 4, 5])
def test_the_checksum_of_a_compressed_variable_is_compared_wherever_it_lies(tmp_path, n_behind):
    """It ends the stream, and may come with the last samples or in a piece of its own."""
    values = np.arange(INFLATE_BYTES // 8 - 20, dtype="<f8")
    n_padding = INFLATE_BYTES + n_behind - len(zlib.compress(matrix_bytes(values), 0))
    packed = zlib.compress(matrix_bytes(values, n_padding), 0)
    assert len(packed) == INFLATE_BYTES + n_behind
    write_compressed(tmp_path / "v.mat", packed)
    assert read_variables(tmp_path / "v.mat", ALL, ENOUGH)["a"].size == values.size
    write_compressed(tmp_path / "v.mat", packed[:-1] + bytes([packed[-1] ^ 1]))
    assert code_of(tmp_path / "v.mat") == "matlab_unreadable"


def test_an_array_of_another_size_than_its_bytes_is_rejected(tmp_path):
    path = tmp_path / "v.mat"
    savemat(path, {"a": np.arange(9.0)})
    content = path.read_bytes()
    assert content.count(struct.pack("<ii", 1, 9)) == 1
    path.write_bytes(content.replace(struct.pack("<ii", 1, 9), struct.pack("<ii", 1, 8)))
    assert code_of(path) == "matlab_unreadable"


def test_memory_is_limited_by_what_is_kept_not_by_what_is_there(tmp_path):
    path = tmp_path / "v.mat"
    savemat(path, {"big": np.random.default_rng(0).normal(size=100_000), "a": np.arange(9.0)}, do_compression=True)
    assert read_variables(path, ALL, 1000)["a"].size == 9
    assert code_of(path, 1000, {"big": None}) == "too_large"


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
def test_many_small_values_count_with_what_they_cost(tmp_path, container):
    path = tmp_path / "v.mat"
    write_set(path, {"s": [{"x": 1.0}] * 500}, "x.fdt", container=container, in_struct=False)
    assert code_of(path, 500 * (2 * OBJECT_BYTES - 8)) == "too_large"
    assert len(read_variables(path, ALL, 500_000)["s"]) == 500


def test_more_elements_than_bytes_are_refused_before_they_are_made(tmp_path):
    path = tmp_path / "v.mat"
    write_set(path, {"s": [{"x": 1.0}] * 3}, "x.fdt", container="v5", in_struct=False)
    content = path.read_bytes()
    dims = struct.pack("<IIii", 5, 8, 1, 3)
    assert content.count(dims) == 1
    path.write_bytes(content.replace(dims, struct.pack("<IIii", 5, 8, 1, 1 << 30)))
    assert code_of(path) == "matlab_unreadable"


def matrix_start(n_values: int, class_id: int, kind: int, n_bytes: int) -> bytes:
    """What stands before the numbers of a row ``a``."""
    flags, dims = struct.pack("<IIII", 6, 8, class_id, 0), struct.pack("<IIii", 5, 8, 1, n_values)
    body = flags + dims + struct.pack("<HH4s", 1, 1, b"a") + struct.pack("<II", kind, n_bytes)
    return struct.pack("<II", 14, len(body) + n_bytes) + body


def matrix_bytes(values: np.ndarray, n_padding: int = 0) -> bytes:
    """A row of doubles ``a``, with bytes of no meaning behind it."""
    return matrix_start(values.size, 6, 9, values.nbytes) + values.tobytes() + bytes(n_padding)


def write_compressed(path: Path, packed: bytes) -> None:
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed)


def zeros_v7(path: Path, n_bytes: int) -> None:
    """Zeros as a compressed variable; n_bytes in whole mebibytes. Never whole in memory, here either."""
    head = matrix_start(n_bytes // 4, 7, 7, n_bytes)
    deflate = zlib.compressobj(9)
    start = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself and can be repeated.
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = zlib.adler32(head)
    for _ in range(n_bytes >> 20):
        checksum = zlib.adler32(bytes(1 << 20), checksum)
    write_compressed(path, start + block * (n_bytes >> 20) + b"\x03\x00" + struct.pack(">I", checksum))


def bomb_v73(path: Path, shape: tuple[int, int]) -> None:
    """Samples of any size that were never written, and so take no room."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("a", shape=shape, dtype="f4", chunks=(1000, 10)).attrs["MATLAB_class"] = np.bytes_("single")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3".ljust(124) + b"\x00\x02IM")


READ = """
import sys, numpy, h5py
from pathlib import Path
from eegfm.errors import RecordingError
from eegfm.signal.matlab.read import read_variables

def kilobytes(field):
    return int(Path("/proc/self/status").read_text().split(field)[1].split()[0])

before = kilobytes("VmRSS:")
try:
    read_variables(Path(sys.argv[1]), {"a": None}, 4 << 30)
except RecordingError as error:
    print(error.code, kilobytes("VmHWM:") - before)
"""


def peak_growth_bytes(path: Path) -> int:
    """Growth of a fresh process's peak memory by reading this file, which it must reject as too large."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], check=False, capture_output=True, text=True)
    match = re.fullmatch(r"too_large (\d+)\n", done.stdout)
    assert match, done.stdout + done.stderr
    return int(match[1]) * 1024


@pytest.mark.parametrize(
    "make", [lambda p: zeros_v7(p, 900 << 20), lambda p: bomb_v73(p, (4_000_000, 129))], ids=["v7", "v7.3"]
)
def test_a_small_file_that_inflates_to_gigabytes_is_rejected_in_little_memory(tmp_path, make):
    path = tmp_path / "bomb.set"
    make(path)
    assert path.stat().st_size < 1 << 20
    assert peak_growth_bytes(path) < 100 << 20


def test_constant_signals_of_ordinary_size_are_no_bombs(tmp_path):
    path = tmp_path / "v.mat"
    zeros_v7(path, SMALL_BYTES - (1 << 20))
    assert MAX_INFLATION * path.stat().st_size < SMALL_BYTES
    assert not np.any(read_variables(path, ALL, ENOUGH)["a"])


@pytest.mark.parametrize("kind", ["external link", "soft link", "external samples", "virtual"])
def test_hdf5_never_leads_into_another_file(tmp_path, kind):
    secret, path = tmp_path / "secret.h5", tmp_path / "v.mat"
    with h5py.File(secret, "w") as file:
        file["a"] = np.arange(10.0)
    with h5py.File(path, "w") as file:
        if kind == "external link":
            file["a"] = h5py.ExternalLink(str(secret), "a")
        elif kind == "soft link":
            file["a"] = h5py.SoftLink("/elsewhere")
        elif kind == "external samples":
            file.create_dataset("a", (10,), "f8", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout((10,), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "a", (10,))
            file.create_virtual_dataset("a", layout)
    assert code_of(path) == "data_outside_folder"


def test_hdf5_structures_that_hold_themselves_are_rejected(tmp_path):
    path = tmp_path / "v.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("s")
        references = np.full((2, 1), group.ref, dtype=h5py.ref_dtype)
        group.create_dataset("x", data=references, dtype=h5py.ref_dtype)
    with pytest.raises(RecordingError, match="inside each other"):
        read_variables(path, {"s": None}, ENOUGH)


def test_a_cell_array_in_an_hdf5_struct_is_no_struct_array(tmp_path):
    path = tmp_path / "v.mat"
    with h5py.File(path, "w") as file:
        group = file.create_group("s")
        group["x"] = np.array([[2.0]])
        cell = group.create_dataset("c", data=np.full((2, 1), group["x"].ref, h5py.ref_dtype), dtype=h5py.ref_dtype)
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
    (found,) = read_variables(path, {"s": None}, ENOUGH)["s"]
    assert ([value.item() for value in found["c"]], found["x"].item()) == ([2.0, 2.0], 2.0)


CELLS = {"one": ("stop",), "nested": ((("stop",),),), "several": ("a", 3.0, ("b",)), "none": (), "number": (4.0,)}


def plain(value):
    """A value of ``read_variables`` as Python's own types."""
    if isinstance(value, tuple):
        return tuple(plain(element) for element in value)
    return value.item() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
def test_a_cell_is_a_tuple_and_a_cell_of_one_element_is_that_element(tmp_path, container):
    write_set(tmp_path / "v.set", CELLS, np.zeros((1, 1)), container=container, in_struct=False)
    found = read_variables(tmp_path / "v.set", dict.fromkeys(CELLS), ENOUGH)
    wanted = {"one": "stop", "nested": "stop", "several": ("a", 3.0, "b"), "none": (), "number": 4.0}
    assert {name: plain(value) for name, value in found.items()} == wanted


@pytest.mark.parametrize("container", ["v7", "v7.3"])
def test_cells_too_deep_in_each_other_are_rejected(tmp_path, container):
    deep = "x"
    for _ in range(100):
        deep = (deep,)
    write_set(tmp_path / "v.set", {"a": deep}, np.zeros((1, 1)), container=container, in_struct=False)
    with pytest.raises(RecordingError, match="inside each other") as caught:
        read_variables(tmp_path / "v.set", {"a": None}, ENOUGH)
    assert caught.value.code == "matlab_unreadable"


@pytest.mark.parametrize("container", ["v7", "v7.3"])
def test_cells_count_into_the_memory_that_a_file_may_take(tmp_path, container):
    many = tuple(float(k) for k in range(2000))
    write_set(tmp_path / "v.set", {"a": many}, np.zeros((1, 1)), container=container, in_struct=False)
    with pytest.raises(RecordingError) as caught:
        read_variables(tmp_path / "v.set", {"a": None}, 2000 * 100)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("depth", [20, 300])
def test_structs_inside_each_other_are_refused(tmp_path: Path, depth: int, *, is_compressed: bool) -> None:
    inner: object = 1.0
    for _ in range(depth):
        inner = {"x": inner}
    path = tmp_path / "x.mat"
    savemat(path, {"a": inner}, do_compression=is_compressed)
    with pytest.raises(RecordingError, match="structures inside each other, more than 8 deep") as caught:
        read_variables(path, ALL, ENOUGH)
    assert caught.value.code == "matlab_unreadable"


def test_seven_structs_inside_each_other_are_read(tmp_path: Path) -> None:
    inner: object = 1.0
    for _ in range(7):
        inner = {"x": inner}
    savemat(tmp_path / "x.mat", {"a": inner})
    found = read_variables(tmp_path / "x.mat", ALL, ENOUGH)["a"]
    for _ in range(7):
        assert isinstance(found, list)
        found = found[0]["x"]
    assert float(found.item()) == 1


@pytest.mark.parametrize("place", ["flags", "dims", "name"])
def test_what_stands_before_a_variable_is_inflated_only_as_far_as_it_can_be(tmp_path: Path, place: str) -> None:
    """Before its name is known, nobody knows whether a variable is wanted; a bomb there was inflated whole."""
    n_bytes = 150 << 20
    start = {"flags": b"", "dims": struct.pack("<IIII", 6, 8, 6, 0)}
    start["name"] = start["dims"] + struct.pack("<IIii", 5, 8, 1, 1)
    kinds = {"flags": 6, "dims": 5, "name": 1}
    head = start[place] + struct.pack("<II", kinds[place], n_bytes)
    packer = zlib.compressobj(1)
    packed = packer.compress(struct.pack("<II", 14, len(head) + n_bytes) + head)
    for _ in range(n_bytes >> 20):
        packed += packer.compress(bytes(1 << 20))
    packed += packer.flush()
    header = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    (tmp_path / "x.mat").write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RecordingError, match="too long here"):
        read_variables(tmp_path / "x.mat", ALL, ENOUGH)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 60 << 20
