"""A tiny corpus of EDF files in which every electrode carries a frequency of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edf_files import write_tones
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, check_accounts, ingest
from eegfm.signal.config import SignalParams

_NAMES = ("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "Pz", "O1")
TONE_HZ = {name: 4.0 + 2.5 * k for k, name in enumerate(_NAMES)}
"""Frequency that each electrode carries, by its clean name."""
AMPLITUDE_UV = 50.0
CORPUS = EdfFolderCorpus(pattern="{subject}_{run}.edf", reference="average")
PARAMS = IngestParams(corpus=CORPUS, workers=WorkerParams(n_workers=1))


def write_recording(
    path: Path, *, duration_s: float = 12.0, rate_hz: float = 250.0, order: Sequence[str] = tuple(TONE_HZ),
    amplitude_uv: float = AMPLITUDE_UV, phase_seed: int = 0,
) -> None:  # fmt: skip
    """Write one file as a clinic would: upper-case labels with reference, any order, channels that are no EEG."""
    labels = [f"EEG {name.upper()}-REF" for name in order]
    labels.insert(2, "EEG EKG1-REF")
    tones = [TONE_HZ[name] for name in order]
    tones.insert(2, 1.2)
    write_tones(path, labels, tones, duration_s, rate_hz, amplitude_uv=amplitude_uv, noise_uv=0.2, seed=phase_seed)


def write_corpus(root: Path, names: Sequence[str] = ("a_1", "a_2", "b_1")) -> Path:
    """Three recordings of two persons, at two rates, with channels in two orders."""
    root.mkdir(parents=True, exist_ok=True)
    orders = (tuple(TONE_HZ), tuple(reversed(TONE_HZ)))
    for k, name in enumerate(names):
        rate_hz = 256.0 if k % 2 else 250.0
        write_recording(root / f"{name}.edf", rate_hz=rate_hz, order=orders[k % 2], phase_seed=k)
    return root


def run_ingest(root: Path, folder: Path, params: IngestParams = PARAMS, signal: SignalParams | None = None) -> Ingested:
    """Index a folder and bring it into a store."""
    raw_files = params.corpus.build("tones").index(root)
    done = ingest(raw_files, root, params, signal or SignalParams(), folder, simulated=False)
    check_accounts(
        *(done.file_outcomes, done.recordings, done.rejected, "tones", params.max_rejected_ratio),
        accept_upsampled=params.accept_upsampled,
    )
    return done


def amplitude_uv(trace: NDArray[np.floating], hz: float, rate_hz: float = 100.0) -> float:
    """Amplitude of one frequency in a trace, by least squares on a sine and a cosine."""
    time_s = np.arange(len(trace)) / rate_hz
    waves = np.stack([np.sin(2 * np.pi * hz * time_s), np.cos(2 * np.pi * hz * time_s), np.ones_like(time_s)], axis=1)
    sine, cosine, _ = np.linalg.lstsq(waves, np.asarray(trace, dtype=np.float64), rcond=None)[0]
    return float(np.hypot(sine, cosine))


def check_tones(signal_uv: NDArray[np.floating], channel_names: Sequence[str], rate_hz: float = 100.0) -> None:
    """Every channel of (C, T) carries its own tone at full height, within 1 %, and no other."""
    assert signal_uv.shape[0] == len(channel_names) == len(TONE_HZ)
    for name, trace in zip(channel_names, signal_uv, strict=True):
        for other, hz in TONE_HZ.items():
            height_uv = amplitude_uv(trace, hz, rate_hz)
            if other == name:
                assert abs(height_uv - AMPLITUDE_UV) < 0.01 * AMPLITUDE_UV, (name, hz, height_uv)
            else:
                assert height_uv < 0.05 * AMPLITUDE_UV, (name, hz, height_uv)
