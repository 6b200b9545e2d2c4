"""Conversion of one raw file to filtered samples on disk: ours, the peers', and the limit of the machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recordings import TEN_TWENTY, Recipe, made
from eegfm.corpora.config import EdfFolderCorpus, HbnCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import ingest
from eegfm.signal.config import SignalParams

SIGNAL = SignalParams()
N_COPIES = 8
"""Recordings per store: the cost of opening and closing it is shared out as it is in a run, though by far fewer."""


def ours(recipe: Recipe, folder: Path) -> None:
    """The product's own job, N_COPIES times: check, read, filter, quantise, commit."""
    params = ingest_params(recipe, n_workers=1)
    root = copies(recipe)
    raw_files = params.corpus.build("benchmark").index(root)
    done = ingest(raw_files, root, params, SIGNAL, folder / "signals", simulated=True)
    if len(done.recordings) != N_COPIES:
        raise RuntimeError(f"{N_COPIES} recordings were to get in, not {len(done.recordings)}:\n{done.rejected}")


def ingest_params(recipe: Recipe, n_workers: int) -> IngestParams:
    """Parameters of the corpus that a recipe imitates."""
    is_hbn = recipe.name.startswith("sub-")
    corpus = HbnCorpus() if is_hbn else EdfFolderCorpus(pattern="{subject}_{session}_{run}.edf")
    return IngestParams(corpus=corpus, workers=WorkerParams(n_workers=n_workers))


def copies(recipe: Recipe) -> Path:
    """A raw folder that holds a recording several times, as links to one file."""
    path = made(recipe)
    root = path.parent / "copies"
    for source in path.parent.glob(f"{recipe.name}.*"):
        for k in range(N_COPIES):
            link = root / _renamed(source.name, k)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.hardlink_to(source)
    return root


def _renamed(name: str, number: int) -> str:
    # Of another person each: a recording that is there several times counts once.
    if name.startswith("sub-"):
        return name.replace("AA000000", f"AA00000{number}", 1)
    return name.replace("aaaaaaaa", f"aaaaaaa{number}", 1)


def mne_chain(recipe: Recipe, notch_hz: float | None, folder: Path) -> None:
    """Read, pick, filter (FIR), notch, resample, save: as MNE's tutorials do it, with its defaults.

    Args:
        recipe: The recording.
        notch_hz: Line frequency to take out. With a band that ends below it this is what chains in use do and what the
            filter has already done.
        folder: Where the samples go.
    """
    raw = _picked(recipe)
    raw.filter(SIGNAL.low_hz, SIGNAL.high_hz)
    if notch_hz is not None:
        raw.notch_filter(notch_hz)
    raw.resample(SIGNAL.rate_hz)
    np.save(folder / "samples.npy", raw.get_data().astype(np.float32))


def braindecode_chain(recipe: Recipe, notch_hz: float, folder: Path) -> None:
    """The ``preprocess`` of braindecode with the same steps; it saves FIF."""
    from braindecode.datasets import BaseConcatDataset, RawDataset
    from braindecode.preprocessing import Preprocessor, preprocess

    steps = [
        Preprocessor("filter", apply_on_array=False, l_freq=SIGNAL.low_hz, h_freq=SIGNAL.high_hz),
        Preprocessor("notch_filter", apply_on_array=False, freqs=notch_hz),
        Preprocessor("resample", apply_on_array=False, sfreq=SIGNAL.rate_hz),
    ]
    dataset = BaseConcatDataset([RawDataset(_picked(recipe), description={"subject": recipe.name})])
    preprocess(dataset, steps, save_dir=str(folder), overwrite=True)


def limit(recipe: Recipe, folder: Path) -> None:
    """Read the file's bytes, write as many bytes as the store takes: no chain can cost less."""
    source = made(recipe)
    buffer = bytearray(1 << 20)
    with (source.with_suffix(".fdt") if recipe.file_format == "fdt" else source).open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    n_bytes = 2 * n_picked(recipe) * round(recipe.duration_s * SIGNAL.rate_hz)
    with (folder / "samples").open("wb", buffering=0) as file:
        for start in range(0, n_bytes, len(buffer)):
            file.write(memoryview(buffer)[: n_bytes - start])


def n_picked(recipe: Recipe) -> int:
    """Number of channels that are electrodes."""
    return len(_picks(recipe))


def _picks(recipe: Recipe) -> list[str]:
    clinical = {f"EEG {name}-REF" for name in TEN_TWENTY}
    return [label for label in recipe.labels if recipe.name.startswith("sub-") or label in clinical]


def _picked(recipe: Recipe) -> Any:
    """MNE's raw object with the electrodes' samples in memory; only those are read."""
    import mne

    readers: dict[str, Callable[..., Any]] = {
        "edf": mne.io.read_raw_edf,
        "bdf": mne.io.read_raw_bdf,
        "fdt": mne.io.read_raw_eeglab,
    }
    raw = readers[recipe.file_format](made(recipe), preload=False)
    return raw.pick(_picks(recipe)).load_data()
