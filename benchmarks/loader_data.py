"""The same signals in the storage format of every peer, made once into a cache."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recordings import CACHE, Recipe, eeg_uv, write_edf
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.writer import StoreWriter

RATE_HZ = 100
STEP_UV = 0.1
CORPUS = "benchmark"
N_PER_GROUP = 1000
"""Windows per group of a BioFoundation file."""


@dataclass(frozen=True)
class Material:
    """Recordings of one length, cut into windows side by side.

    Args:
        n_recordings: How many.
        n_channels: Channels of each.
        duration_s: Length of each, in whole seconds.
        window_s: Length of a window, in whole seconds.
    """

    n_recordings: int
    n_channels: int
    duration_s: int
    window_s: int

    @property
    def name(self) -> str:
        """As it appears in the lines."""
        return f"{self.n_channels}ch_{self.window_s}s"

    @property
    def folder(self) -> Path:
        """Where its files lie, a folder per format."""
        return CACHE / f"loader_{self.n_recordings}x{self.n_channels}ch_{self.duration_s}s_{self.window_s}s"

    @property
    def window(self) -> int:
        """Samples per window."""
        return self.window_s * RATE_HZ

    @property
    def n_per_recording(self) -> int:
        """Windows per recording."""
        return self.duration_s // self.window_s

    @property
    def n_windows(self) -> int:
        """Windows in all, numbered recording by recording."""
        return self.n_recordings * self.n_per_recording

    @property
    def montage(self) -> Montage:
        """Its channels."""
        names = tuple(f"E{k + 1}" for k in range(self.n_channels))
        positions = tuple((0.09 * np.cos(k), 0.09 * np.sin(k), 0.0) for k in range(self.n_channels))
        return Montage(names, positions, (True,) * self.n_channels, "average")

    def signals(self) -> Iterator[NDArray[np.int16]]:
        """(C, T) of each recording in steps of ``STEP_UV``: one signal, shifted in time and over the channels."""
        first = np.rint(eeg_uv(self.n_channels, RATE_HZ, self.duration_s) / STEP_UV).astype(np.int16)
        for k in range(self.n_recordings):
            yield np.roll(first, (k, 997 * k), axis=(0, 1))

    def made(self, kind: str) -> Path:
        """Folder of the files of one format; made where they are not in the cache yet."""
        folder = self.folder / kind
        if not folder.exists():
            unfinished = folder.with_name(f"unfinished_{kind}")
            unfinished.mkdir(parents=True, exist_ok=True)
            _WRITERS[kind](self, unfinished)
            unfinished.replace(folder)
        return folder

    def files(self, kind: str) -> list[Path]:
        """Files of signals of one format."""
        suffixes = {".i16", ".fif", ".edf", ".hdf5", ".h5", ".mdb"}
        return sorted(path for path in self.made(kind).rglob("*") if path.suffix in suffixes)

    def in_memory(self, kind: str) -> Path:
        """Folder of the files of one format, all of which are in the page cache now."""
        buffer = bytearray(1 << 20)
        for path in self.files(kind):
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
        return self.made(kind)


def _write_store(material: Material, folder: Path) -> None:
    scales_uv = np.full(material.n_channels, STEP_UV, dtype=np.float32)
    with StoreWriter(folder, StoreFacts(float(RATE_HZ), is_simulated=True)) as writer:
        for k, signal in enumerate(material.signals()):
            writer.commit(
                recording_id=f"{CORPUS}:{k}",
                key="",
                montage=material.montage,
                samples=np.ascontiguousarray(signal.T),
                scales_uv=scales_uv,
                facts={},
                events=[],
            )


def _write_fif(material: Material, folder: Path) -> None:
    import mne

    info = mne.create_info(list(material.montage.channel_names), RATE_HZ, "eeg", verbose="error")
    for k, signal in enumerate(material.signals()):
        raw = mne.io.RawArray(signal * (STEP_UV * 1e-6), info, verbose="error")
        raw.save(folder / f"{k:03d}_raw.fif", fmt="single", verbose="error")


def _write_edfs(material: Material, folder: Path) -> None:
    for k, signal in enumerate(material.signals()):
        recipe = Recipe(f"{k:03d}", "edf", material.montage.channel_names, RATE_HZ, material.duration_s)
        write_edf(folder / f"{k:03d}.edf", recipe, signal * np.float32(STEP_UV))


def _write_labram(material: Material, folder: Path) -> None:
    import h5py

    with h5py.File(folder / "signals.hdf5", "w") as file:
        for k, signal in enumerate(material.signals()):
            data = signal * STEP_UV
            file.create_dataset(f"{k:03d}/eeg", data=data, chunks=(material.n_channels, RATE_HZ))


def _write_biofoundation(material: Material, folder: Path) -> None:
    import h5py

    with h5py.File(folder / "windows.h5", "w") as file:
        for number, windows in enumerate(_grouped(_windows_uv(material))):
            file.create_dataset(f"group_{number}/X", data=np.stack(windows))


def _write_cbramod(material: Material, folder: Path) -> None:
    import lmdb

    n_bytes = 8 * material.n_channels * material.window
    with lmdb.open(str(folder), map_size=2 * (n_bytes + 8192) * material.n_windows) as environment:
        for group, windows in enumerate(_grouped(_windows_uv(material))):
            with environment.begin(write=True) as transaction:
                for k, window in enumerate(windows, start=group * N_PER_GROUP):
                    patches = window.reshape(material.n_channels, material.window_s, RATE_HZ)
                    transaction.put(f"{k:08d}".encode(), pickle.dumps(patches))


def _windows_uv(material: Material) -> Iterator[NDArray[np.float64]]:
    for signal in material.signals():
        for k in range(material.n_per_recording):
            yield signal[:, k * material.window : (k + 1) * material.window] * STEP_UV


def _grouped(windows: Iterator[NDArray[np.float64]]) -> Iterator[list[NDArray[np.float64]]]:
    group: list[NDArray[np.float64]] = []
    for window in windows:
        group.append(window)
        if len(group) == N_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


_WRITERS: dict[str, Callable[[Material, Path], Any]] = {
    "eegfm": _write_store,
    "fif": _write_fif,
    "edf": _write_edfs,
    "labram": _write_labram,
    "biofoundation": _write_biofoundation,
    "cbramod": _write_cbramod,
}
