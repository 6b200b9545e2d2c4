"""Mutations of EEGLAB files with their truth. Each file is a valid recording, damaged in one random way.

A case follows from its seed alone. Kinds and weights are those by which the figures of issue 3 are defined.
"""

import hashlib
import itertools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from eegfm.signal.header import Segment
from set_files import TEN_TWENTY, Container, eeg_uv, fields, write_fdt, write_set

WEIGHTS = {"fdt size": 2, "fdt type": 2, "fields": 2, "path": 1, "values": 1, "container": 1}
NEEDS_FDT = frozenset({"fdt size", "fdt type", "path"})
INTACT = frozenset({"v7.3", "chaninfo empty", "xmin understated", "xmin overstated", "xmin nan", "xmin empty"})
RATES_HZ = (100.0, 128.0, 200.0, 250.0, 256.0, 500.0)
DURATIONS_S = (5.0, 60.0)
NUMBERS = ("pnts", "nbchan", "srate", "trials", "xmin")
CHANGES = ("understated", "overstated", "nan", "empty")
BOMB_BYTES = 1 << 30


@dataclass(frozen=True)
class Valid:
    """A recording before it is damaged.

    Args:
        signal_uv: (C, T) float32, the truth.
        rate_hz: Its rate.
        labels: Its channels.
        notes: (onset_s, text) of its events.
        segments: Its stretches without boundaries.
        content: Fields of the ``.set``.
        container: How it is written.
        in_struct: Whether the fields lie in a struct.
        has_fdt: Whether the samples have a file of their own.
    """

    signal_uv: np.ndarray
    rate_hz: float
    labels: tuple[str, ...]
    notes: tuple[tuple[float, str], ...]
    segments: tuple[Segment, ...]
    content: dict[str, Any]
    container: Container
    in_struct: bool
    has_fdt: bool

    def write(self, path: Path) -> None:
        """Write the ``.set`` and, where it has one, the ``.fdt``."""
        data = path.with_suffix(".fdt").name if self.has_fdt else self.signal_uv
        write_set(path, self.content, data, container=self.container, in_struct=self.in_struct)
        if self.has_fdt:
            write_fdt(path.with_suffix(".fdt"), self.signal_uv)


@dataclass(frozen=True)
class Case:
    """A damaged recording.

    Args:
        kind: Key of ``WEIGHTS``.
        what: What was done.
        path: The ``.set``.
        truth: What it was.
        published: Checksums of its files before they were damaged.
        is_intact: Nothing was touched that signal, unit, rate or timing depend on.
    """

    kind: str
    what: str
    path: Path
    truth: Valid
    published: dict[Path, str]
    is_intact: bool


def valid_recording(rng: np.random.Generator) -> Valid:
    """A recording as EEGLAB saves them; short ones are likelier, for the sake of the tests' time."""
    n_channels, rate_hz = int(rng.integers(3, 33)), float(rng.choice(RATES_HZ))
    shortest_s, longest_s = DURATIONS_S
    n_samples = int((shortest_s + (longest_s - shortest_s) * rng.uniform() ** 4) * rate_hz)
    labels = tuple(str(label) for label in rng.permutation(TEN_TWENTY)[:n_channels])
    latencies = np.sort(rng.uniform(1, n_samples, rng.integers(0, 6)))
    events: list[tuple[Any, float, float]] = [("stim", float(at), 1.0) for at in latencies]
    edges = [0, n_samples]
    if rng.uniform() < 0.2:
        # One of the two stretches is long enough to be taken in.
        long = int(rng.uniform(0.9 * shortest_s * rate_hz, n_samples))
        edges.insert(1, long if rng.uniform() < 0.5 else n_samples - long)
        events.append(("boundary", edges[1] + 0.5, 100.0))
    return Valid(
        signal_uv=eeg_uv(n_channels, n_samples, rate_hz, int(rng.integers(1 << 31))),
        rate_hz=rate_hz,
        labels=labels,
        notes=tuple(sorted(((at - 1) / rate_hz, text) for text, at, _ in events)),
        segments=tuple(Segment(a, b, a / rate_hz) for a, b in itertools.pairwise(edges)),
        content=fields(labels, n_samples, rate_hz, events),
        container=("v5", "v7", "v7.3")[rng.choice(3, p=[0.4, 0.4, 0.2])],
        in_struct=bool(rng.uniform() < 0.5),
        has_fdt=bool(rng.uniform() < 0.5),
    )


def damaged_recording(seed: int, path: Path) -> Case:
    """Write the damaged recording of this seed as ``path``; files outside its folder lie in ``path.parent.parent``."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True)
    weights = np.array(list(WEIGHTS.values()), dtype=float)
    kind = str(rng.choice(list(WEIGHTS), p=weights / weights.sum()))
    truth = valid_recording(rng)
    if kind in NEEDS_FDT:
        truth = replace(truth, has_fdt=True)
    truth.write(path)
    files = [file for file in (path, path.with_suffix(".fdt")) if file.is_file()]
    published = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    what = _DAMAGES[kind](rng, truth, path)
    return Case(kind, what, path, truth, published, what in INTACT)


def _fdt_size(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    fdt = path.with_suffix(".fdt")
    what = str(rng.choice(["cut", "extended", "missing", "another recording"]))
    whole = fdt.read_bytes()
    if what == "cut":
        fdt.write_bytes(whole[: rng.integers(len(whole))])
    elif what == "extended":
        fdt.write_bytes(whole + rng.bytes(int(rng.integers(1, 5000))))
    elif what == "missing":
        fdt.unlink()
    else:
        write_fdt(fdt, valid_recording(rng).signal_uv)
    return what


def _fdt_type(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    what = str(rng.choice(["float64", "big-endian", "transposed"]))
    time_major = np.ascontiguousarray(truth.signal_uv.T)
    values = {
        "float64": time_major.astype("<f8"),
        "big-endian": time_major.astype(">f4"),
        "transposed": truth.signal_uv.astype("<f4"),
    }
    path.with_suffix(".fdt").write_bytes(values[what].tobytes())
    return what


def _fields(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    choices = [(name, change) for name in NUMBERS for change in CHANGES]
    choices += [("chanlocs", "shorter"), ("chanlocs", "longer"), ("chaninfo", "empty")]
    name, change = choices[rng.integers(len(choices))]
    content = dict(truth.content)
    if name == "chanlocs":
        listed = content[name]
        content[name] = listed[: rng.integers(len(listed))] if change == "shorter" else [*listed, listed[-1]]
    elif name == "chaninfo":
        content[name] = []
    else:
        content[name] = _changed_number(rng, float(content[name]), change)
    replace(truth, content=content).write(path)
    return f"{name} {change}"


def _changed_number(rng: np.random.Generator, value: float, change: str) -> Any:
    if change == "nan":
        return np.nan
    if change == "empty":
        return []
    step, factor = float(rng.choice([1.0, 2.0, 10.0])), float(rng.choice([0.5, 0.9, 0.99]))
    if rng.uniform() < 0.5 or value == 0:
        return value - step if change == "understated" else value + step
    return value * factor if change == "understated" else value / factor


def _path(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    what = str(rng.choice(["absolute", "parent", "link"]))
    fdt, outside = path.with_suffix(".fdt"), path.parent.parent / f"{path.stem}_secret.fdt"
    fdt.rename(outside)
    if what == "link":
        fdt.symlink_to(outside)
    else:
        name = str(outside) if what == "absolute" else f"../{outside.name}"
        write_set(path, truth.content, name, container=truth.container, in_struct=truth.in_struct)
    return what


def _values(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    what = str(rng.choice(["nan", "inf", "volts"]))
    changed = truth.signal_uv.copy()
    if what == "volts":
        changed = (changed / 1e6).astype(np.float32)
    else:
        n_samples = changed.shape[1]
        start = int(rng.integers(n_samples))
        some = rng.uniform(size=len(changed)) < 0.5
        some[rng.integers(len(some))] = True
        changed[some, start : start + int(rng.integers(1, n_samples // 2))] = np.nan if what == "nan" else np.inf
    replace(truth, signal_uv=changed).write(path)
    return what


def _container(rng: np.random.Generator, truth: Valid, path: Path) -> str:
    what = str(rng.choice(["truncated", "v7.3", "bomb", "text or HTML"]))
    if what == "v7.3":
        replace(truth, container="v7.3").write(path)
    elif what == "truncated":
        whole = path.read_bytes()
        path.write_bytes(whole[: rng.integers(len(whole))])
    elif what == "text or HTML":
        path.write_text(str(rng.choice(["<!DOCTYPE html><p>404", "not found\n", '{"message": "moved"}', ""])))
    elif what == "bomb":
        (_bomb_v7 if rng.uniform() < 0.5 else _bomb_v73)(truth, path)
    return what


def _bomb_v7(truth: Valid, path: Path) -> None:
    """The samples are a gigabyte of zeros in a megabyte; the stream's checksum, which comes last, is never reached."""
    n_channels, n_samples = len(truth.labels), BOMB_BYTES // 4 // len(truth.labels)
    write_set(path, truth.content | fields(truth.labels, n_samples, truth.rate_hz), "x.fdt", in_struct=False)
    n_bytes = n_channels * n_samples * 4
    head = struct.pack("<IIII", 6, 8, 7, 0) + struct.pack("<IIii", 5, 8, n_channels, n_samples)
    head += struct.pack("<II8s", 1, 4, b"data") + struct.pack("<II", 7, n_bytes)
    deflate = zlib.compressobj(9)
    start = deflate.compress(struct.pack("<II", 14, len(head) + n_bytes) + head) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    packed = start + block * (n_bytes >> 20)
    # The last variable is the name of the .fdt; the bomb stands in its place.
    content = path.read_bytes()
    path.write_bytes(content[: _last_variable(content)] + struct.pack("<II", 15, len(packed)) + packed)


def _last_variable(content: bytes) -> int:
    at = last = 128
    while at < len(content):
        last, at = at, at + 8 + struct.unpack_from("<I", content, at + 4)[0]
    return last


def _bomb_v73(truth: Valid, path: Path) -> None:
    """Samples that were never written take no room in HDF5, and come out as a hundred gigabytes of zeros."""
    n_channels, n_samples = len(truth.labels), 100 * BOMB_BYTES // 4 // len(truth.labels)
    content = fields(truth.labels, n_samples, truth.rate_hz)
    write_set(path, content, "x.fdt", container="v7.3", in_struct=False)
    with h5py.File(path, "r+") as file:
        del file["data"]
        dataset = file.create_dataset("data", (n_samples, n_channels), "f4", chunks=(4096, n_channels))
        dataset.attrs["MATLAB_class"] = np.bytes_("single")


_DAMAGES: dict[str, Callable[[np.random.Generator, Valid, Path], str]] = {
    "fdt size": _fdt_size,
    "fdt type": _fdt_type,
    "fields": _fields,
    "path": _path,
    "values": _values,
    "container": _container,
}
