"""Single windows as the peers read them: data sets for torch's DataLoader, without worker processes.

braindecode is the package itself. The others have none; what they do follows their sources: LaBraM looks its data set
up by path for every window of an HDF5 file of float64 in chunks of one second; BioFoundation keeps groups of 1000
windows in HDF5; CBraMod keeps pickled windows of float64 in LMDB.
"""

import pickle
import warnings
from bisect import bisect_right
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.loader_data import N_PER_GROUP, Material

BATCH = 256


def peer_windows(kind: str, material: Material, n_batches: int, folder: Path) -> int:
    """Draw shuffled batches; what is opened stays open for the next turn.

    Returns:
        Number of windows.
    """
    windows = peer_dataset(kind, material)
    loader = torch.utils.data.DataLoader(windows, batch_size=BATCH, shuffle=True, drop_last=True)
    n = 0
    for batch in islice(loader, n_batches):
        signal: Tensor = batch[0] if isinstance(batch, list | tuple) else batch
        n += len(signal.float())
    return n


@cache
def peer_dataset(kind: str, material: Material) -> Any:
    """Windows by number, recording by recording."""
    kinds = {
        "braindecode_lazy": lambda: _braindecode(material, "fif", preload=False),
        "braindecode_lazy_edf": lambda: _braindecode(material, "edf", preload=False),
        "braindecode_preload": lambda: _braindecode(material, "fif", preload=True),
        "labram_hdf5": lambda: Labram(material),
        "biofoundation_hdf5": lambda: Biofoundation(material),
        "cbramod_lmdb": lambda: Cbramod(material),
    }
    return kinds[kind]()


def _braindecode(material: Material, suffix: str, *, preload: bool) -> Any:
    import mne

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from braindecode.datasets import BaseConcatDataset, RawDataset
        from braindecode.preprocessing import create_fixed_length_windows

        read = mne.io.read_raw_fif if suffix == "fif" else mne.io.read_raw_edf
        paths = sorted(material.in_memory(suffix).glob(f"*.{suffix}"))
        recordings = [
            RawDataset(read(path, preload=preload, verbose="error"), {"subject": path.stem}) for path in paths
        ]
        return create_fixed_length_windows(
            BaseConcatDataset(recordings),
            window_size_samples=material.window,
            window_stride_samples=material.window,
            drop_last_window=True,
            preload=preload,
        )


class Labram(torch.utils.data.Dataset[Any]):
    """One HDF5 data set of (C, T) float64 per recording."""

    def __init__(self, material: Material) -> None:
        import h5py

        self._file = h5py.File(material.in_memory("labram") / "signals.hdf5", "r")
        self._recordings = list(self._file)
        self._starts = [k * material.n_per_recording for k in range(material.n_recordings)]
        self._window = material.window
        self._n_windows = material.n_windows

    def __len__(self) -> int:
        return self._n_windows

    def __getitem__(self, number: int) -> Any:
        place = bisect_right(self._starts, number) - 1
        first = (number - self._starts[place]) * self._window
        return self._file[self._recordings[place]]["eeg"][:, first : first + self._window]


class Biofoundation(torch.utils.data.Dataset[Any]):
    """Groups of windows of float64, addressed by a list of (group, place)."""

    def __init__(self, material: Material) -> None:
        import h5py

        self._file = h5py.File(material.in_memory("biofoundation") / "windows.h5", "r")
        self._places = [(f"group_{k // N_PER_GROUP}", k % N_PER_GROUP) for k in range(material.n_windows)]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Tensor:
        group, place = self._places[number]
        return torch.tensor(self._file[group]["X"][place], dtype=torch.float32)


class Cbramod(torch.utils.data.Dataset[Any]):
    """Pickled windows of float64, addressed by a list of keys."""

    def __init__(self, material: Material) -> None:
        import lmdb

        folder = str(material.in_memory("cbramod"))
        self._environment = lmdb.open(folder, readonly=True, lock=False, readahead=True, meminit=False)
        self._keys = [f"{k:08d}" for k in range(material.n_windows)]

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: int) -> Tensor:
        with self._environment.begin(write=False) as transaction:
            patches = pickle.loads(transaction.get(self._keys[number].encode()))  # noqa: S301 - written by ourselves
        return torch.from_numpy(patches).float()
