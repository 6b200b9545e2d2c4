"""Writes EEGLAB files for tests: any field, samples embedded or in an ``.fdt``, MATLAB version 5 or 7.3.

Version 5 is written by SciPy; 7.3 by h5py after what MATLAB itself writes: classes as attributes, axes reversed,
struct arrays as lists of references.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from scipy.io import savemat
from scipy.signal import lfilter

Container = Literal["v5", "v7", "v7.3"]
TEN_TWENTY = (
    *("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8"),
    *("Fz", "Cz", "Pz", "Oz", "FC1", "FC2", "CP1", "CP2", "FC5", "FC6", "CP5", "CP6", "AF3", "AF4", "PO3", "PO4"),
)


def eeg_uv(n_channels: int, n_samples: int, rate_hz: float, seed: int = 0) -> np.ndarray:
    """(C, T) float32 microvolts that look like EEG: a falling spectrum, common sources, sensor noise, offsets."""
    rng = np.random.default_rng(seed)
    pole = np.exp(-2 * np.pi * 4.0 / rate_hz)
    white = rng.standard_normal((n_channels + 2, n_samples + int(rate_hz)))
    sources = lfilter([np.sqrt(1 - pole**2)], [1, -pole], white)[:, int(rate_hz) :]
    times_s = np.arange(n_samples) / rate_hz
    sources[0] += 1.5 * np.sin(2 * np.pi * 10.2 * times_s + rng.uniform(0, 6))
    mixing = rng.normal(0, 1, (n_channels, n_channels + 2)) / np.sqrt(n_channels + 2)
    mixing[:, 1] += 0.5
    noise = rng.standard_normal((n_channels, n_samples))
    offsets = rng.normal(0, 30, (n_channels, 1))
    return (15 * mixing @ sources + 1.0 * noise + offsets).astype(np.float32)


def fields(
    labels: Sequence[str],
    n_samples: int,
    rate_hz: float,
    events: Sequence[tuple[Any, float, float]] = (),
) -> dict[str, Any]:
    """What EEGLAB writes beside the samples; events are (type, latency counted from 1, duration) in samples."""
    return {
        "setname": "test",
        "nbchan": float(len(labels)),
        "trials": 1.0,
        "pnts": float(n_samples),
        "srate": float(rate_hz),
        "xmin": 0.0,
        "xmax": (n_samples - 1) / rate_hz,
        "icaact": [],
        "chanlocs": [{"labels": label, "type": "EEG", "X": 1.0} for label in labels],
        "chaninfo": {"nosedir": "+X"},
        "event": [{"type": kind, "latency": at, "duration": length} for kind, at, length in events],
        "ref": "common",
    }


def write_set(
    path: Path,
    content: Mapping[str, Any],
    data: np.ndarray | str,
    *,
    container: Container = "v7",
    in_struct: bool = True,
) -> None:
    """Write a ``.set``.

    Args:
        path: The file.
        content: Fields; lists of dicts become struct arrays.
        data: (C, T) samples, or the name of an ``.fdt``.
        container: Version 5 plain (``v5``) or compressed (``v7``), or HDF5.
        in_struct: Fields inside a struct ``EEG``, as EEGLAB wrote until 2021; variables of their own otherwise.
    """
    whole = {**content, "data": data}
    if container == "v7.3":
        _write_hdf5(path, {"EEG": whole} if in_struct else whole)
        return
    plain = {name: _plain(value) for name, value in whole.items()}
    savemat(
        path,
        {"EEG": plain} if in_struct else plain,
        appendmat=False,
        do_compression=container == "v7",
        long_field_names=True,
    )


def write_fdt(path: Path, signal_uv: np.ndarray) -> None:
    """Write (C, T) samples as EEGLAB does: time-major, 32-bit, little-endian."""
    path.write_bytes(np.ascontiguousarray(signal_uv.T, dtype="<f4").tobytes())


def _plain(value: Any) -> Any:
    """Lists of dicts as structured arrays, which SciPy writes as struct arrays; tuples as arrays of objects, cells."""
    if isinstance(value, tuple):
        cells = np.empty((1, len(value)), dtype=object)
        cells[0, :] = [_plain(element) for element in value]
        return cells
    if not isinstance(value, list):
        return value
    if not value:
        return np.empty((0, 0))
    table = np.empty((1, len(value)), dtype=[(name, object) for name in value[0]])
    for at, item in enumerate(value):
        table[0, at] = tuple(_plain(element) for element in item.values())
    return table


def _write_hdf5(path: Path, content: Mapping[str, Any]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        _write_group(file, file, content)
    header = b"MATLAB 7.3 MAT-file, Platform: test".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as raw:
        raw.write(header)


def _write_group(file: h5py.File, group: h5py.Group, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            inner = group.create_group(name)
            inner.attrs["MATLAB_class"] = np.bytes_("struct")
            _write_group(file, inner, value)
        elif isinstance(value, list) and len(value) > 1:
            _write_struct_array(file, group, name, value)
        elif isinstance(value, list) and value:
            _write_group(file, group, {name: value[0]})
        else:
            _write_array(group, name, value)


def _write_struct_array(file: h5py.File, group: h5py.Group, name: str, items: list[dict[str, Any]]) -> None:
    inner = group.create_group(name)
    inner.attrs["MATLAB_class"] = np.bytes_("struct")
    hidden = file.require_group("#refs#")
    for field in items[0]:
        references = np.empty((len(items), 1), dtype=h5py.ref_dtype)
        for at, item in enumerate(items):
            target = f"r{len(hidden)}"
            _write_array(hidden, target, item[field])
            references[at, 0] = hidden[target].ref
        inner.create_dataset(field, data=references, dtype=h5py.ref_dtype)


def _write_cell(group: h5py.Group, name: str, value: tuple[Any, ...]) -> None:
    hidden = group.file.require_group("#refs#")
    references = np.empty((len(value), 1), dtype=h5py.ref_dtype)
    for at, element in enumerate(value):
        target = f"{name}_{at}"
        _write_array(hidden, target, element)
        references[at, 0] = hidden[target].ref
    dataset = group.create_dataset(name, data=references, dtype=h5py.ref_dtype)
    dataset.attrs["MATLAB_class"] = np.bytes_("cell")


def _write_array(group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, tuple) and value:
        _write_cell(group, name, value)
        return
    if isinstance(value, str):
        codes, kind = np.array([[ord(c)] for c in value], dtype=np.uint16), "char"
    elif isinstance(value, tuple):
        codes, kind = np.empty(0), "cell"
    else:
        codes = np.atleast_2d(np.asarray([] if value is None else value)).T
        kind = {"float32": "single", "float64": "double"}.get(str(codes.dtype), str(codes.dtype))
    if codes.size == 0:
        dataset = group.create_dataset(name, data=np.zeros(2, dtype=np.uint64))
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        chunks = codes.size > 1000
        dataset = group.create_dataset(name, data=codes, chunks=chunks or None, compression="gzip" if chunks else None)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
