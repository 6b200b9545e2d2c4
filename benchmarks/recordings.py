"""Recordings for measurements: realistic signals in EDF, BDF and EEGLAB files, seeded, made once into a cache."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import edfio
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

CACHE = Path(tempfile.gettempdir()) / "eegfm_benchmarks"
"""Delete it to have the files made again."""

TEN_TWENTY = (
    *("FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T3", "T4", "T5", "T6"),
    *("A1", "A2", "FZ", "CZ", "PZ"),
)
NOT_EEG = ("EKG1", "LOC", "ROC", "PHOTIC", "IBI", "BURSTS", "SUPPR", "26", "27", "28", "29")
LINE_HZ = 60.0
STEP_UV = {"edf": 0.1, "bdf": 0.001}
TOP = {"edf": 32767, "bdf": 8388600}


@dataclass(frozen=True)
class Recipe:
    """One recording.

    Args:
        name: Name of its file, without suffix.
        file_format: ``fdt`` is an EEGLAB ``.set`` whose samples lie in an ``.fdt`` beside it.
        labels: Channel labels as the file carries them.
        rate_hz: Sampling rate.
        duration_s: Length, in whole seconds.
    """

    name: str
    file_format: Literal["edf", "bdf", "fdt"]
    labels: tuple[str, ...]
    rate_hz: int
    duration_s: int

    @property
    def path(self) -> Path:
        """The file, in a folder of its own inside the cache."""
        key = f"{self.file_format}_{len(self.labels)}ch_{self.rate_hz}hz_{self.duration_s}s"
        return CACHE / key / f"{self.name}.{self.file_format.replace('fdt', 'set')}"

    @property
    def n_bytes(self) -> int:
        """Bytes of samples in the file."""
        width = {"edf": 2, "bdf": 3, "fdt": 4}[self.file_format]
        return width * len(self.labels) * self.rate_hz * self.duration_s


def clinical(duration_s: int) -> Recipe:
    """32 channels in the manner of the TUH corpus; 21 of them are electrodes."""
    labels = tuple(f"EEG {name}-REF" for name in (*TEN_TWENTY, *NOT_EEG))
    return Recipe("aaaaaaaa_s001_t000", "edf", labels, 250, duration_s)


def high_density(file_format: Literal["bdf", "fdt"], duration_s: int) -> Recipe:
    """129 channels of the HydroCel net in the manner of HBN."""
    labels = (*(f"E{k + 1}" for k in range(128)), "Cz")
    return Recipe("sub-NDARAA000000_task-RestingState_eeg", file_format, labels, 500, duration_s)


def made(recipe: Recipe) -> Path:
    """The recording's file; made where it is not in the cache yet."""
    if not recipe.path.exists():
        recipe.path.parent.mkdir(parents=True, exist_ok=True)
        signal_uv = eeg_uv(len(recipe.labels), recipe.rate_hz, recipe.duration_s)
        unfinished = recipe.path.with_name(f"unfinished{recipe.path.suffix}")
        (_write_fdt if recipe.file_format == "fdt" else write_edf)(unfinished, recipe, signal_uv)
        unfinished.replace(recipe.path)
    return recipe.path


def eeg_uv(n_channels: int, rate_hz: float, duration_s: float, seed: int = 0) -> NDArray[np.float32]:
    """(C, T) microvolts: 1/f^1.2 background of 15 uV, an alpha rhythm that waxes and wanes, line noise, an offset."""
    rng = np.random.default_rng(seed)
    n = round(rate_hz * duration_s)
    time_s = np.arange(n) / rate_hz
    frequency_hz = np.fft.rfftfreq(n, 1 / rate_hz)
    slope = np.maximum(frequency_hz, 0.1) ** -0.6
    peak = np.exp(-0.5 * ((frequency_hz - 10) / 0.6) ** 2)
    out = np.empty((n_channels, n), dtype=np.float32)
    for row in out:
        background, alpha = (np.fft.irfft(shape * _noise(rng, n // 2 + 1), n) for shape in (slope, peak))
        line = np.sin(2 * np.pi * LINE_HZ * time_s + rng.uniform(0, 2 * np.pi))
        row[:] = 15 / background.std() * background + 8 / alpha.std() * alpha + 4 * line + rng.normal(0, 20)
    return out


def _noise(rng: np.random.Generator, n: int) -> NDArray[np.complex128]:
    noise: NDArray[np.complex128] = rng.standard_normal((n, 2)) @ np.array([1, 1j])
    return noise


def write_edf(path: Path, recipe: Recipe, signal_uv: NDArray[np.float32]) -> None:
    """Write (C, T) microvolts as EDF or BDF."""
    kind, top = recipe.file_format, TOP[recipe.file_format]
    # The two formats have classes of their own without a common one.
    file_class: Any = edfio.Bdf if kind == "bdf" else edfio.Edf
    signal_class: Any = edfio.BdfSignal if kind == "bdf" else edfio.EdfSignal
    top_uv = round(top * STEP_UV[kind], 1)
    signals = [
        signal_class(
            np.clip(row.astype(np.float64), -top_uv, top_uv),
            recipe.rate_hz,
            label=label,
            physical_dimension="uV",
            physical_range=(-top_uv, top_uv),
            digital_range=(-top, top),
        )
        for row, label in zip(signal_uv, recipe.labels, strict=True)
    ]
    file_class(signals, data_record_duration=1).write(path)


def _write_fdt(path: Path, recipe: Recipe, signal_uv: NDArray[np.float32]) -> None:
    samples = recipe.path.with_suffix(".fdt")
    signal_uv.T.astype("<f4").tofile(samples)
    channels = np.empty((1, len(recipe.labels)), dtype=[("labels", object), ("type", object)])
    for k, label in enumerate(recipe.labels):
        channels[0, k] = (label, "EEG")
    empty = np.zeros((0, 0))
    eeg = {
        "setname": recipe.name,
        "nbchan": float(len(recipe.labels)),
        "trials": 1.0,
        "pnts": float(signal_uv.shape[1]),
        "srate": float(recipe.rate_hz),
        "xmin": 0.0,
        "xmax": (signal_uv.shape[1] - 1) / recipe.rate_hz,
        "data": samples.name,
        "chanlocs": channels,
        "event": np.empty((1, 0), dtype=[("type", object), ("latency", object)]),
        **dict.fromkeys(("times", "icaact", "icawinv", "icasphere", "icaweights", "icachansind", "epoch"), empty),
    }
    savemat(path, {"EEG": eeg}, oned_as="row")
