"""Writes small EEG-BIDS trees: side files from plain Python values, signals in which every channel has a tone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edf_files import write_tones
from eegfm.corpora.config import CorpusConfig
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.signal.header import RecordingHeader, Segment
from eegfm.store.index import RejectedEntry
from set_files import fields, write_set

SIGNAL = SignalParams(min_channels=2)

Table = Sequence[Sequence[object]]


def write_tree(root: Path, files: Mapping[str, str | bytes | dict[str, Any] | Table]) -> Path:
    """Write files by path: text and bytes as they are, mappings as JSON, rows (header first) as a table."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, dict):
            path.write_text(json.dumps(content), encoding="utf-8")
        else:
            path.write_text("".join("\t".join(map(str, row)) + "\n" for row in content), encoding="utf-8")
    return root


def write_signal(
    path: Path, labels: Sequence[str], *, rate_hz: float = 100.0, duration_s: float = 10.0, seed: int = 0
) -> np.ndarray:
    """Write a file of the kind that its suffix names; channel k carries 5 + k/4 Hz; return (C, T) microvolts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tones_hz = [5 + k / 4 for k in range(len(labels))]
    if path.suffix in {".edf", ".bdf"}:
        bits = 16 if path.suffix == ".edf" else 24
        return write_tones(path, labels, tones_hz, duration_s, rate_hz, noise_uv=1.0, seed=seed, bits=bits)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    signal_uv = 50 * np.sin(2 * np.pi * np.asarray(tones_hz)[:, None] * time_s)
    signal_uv = (signal_uv + np.random.default_rng(seed).standard_normal(signal_uv.shape)).astype(np.float32)
    write_eeglab(path, signal_uv, labels, rate_hz)
    return signal_uv


def write_eeglab(
    path: Path, signal_uv: np.ndarray, labels: Sequence[str], rate_hz: float, *, fdt: bool = False
) -> None:
    """Write an EEGLAB file, with its samples in it or in an ``.fdt`` beside it."""
    data: np.ndarray | str = signal_uv.astype(np.float32)
    if fdt:
        path.with_suffix(".fdt").write_bytes(signal_uv.astype("<f4").T.tobytes())
        data = path.with_suffix(".fdt").name
    write_set(path, fields(labels, signal_uv.shape[1], rate_hz), data, container="v5")


def header(
    labels: Sequence[str], *, rate_hz: float = 100.0, n_samples: int = 1000, unit: str = "uV"
) -> RecordingHeader:
    """The header of a plain recording."""
    n = len(labels)
    return RecordingHeader(
        tuple(labels), (unit,) * n, rate_hz, (rate_hz,) * n, n_samples, (Segment(0, n_samples, 0.0),)
    )


def convert_file(
    config: CorpusConfig,
    root: Path,
    path: str,
    spool: Path,
    signal: SignalParams = SIGNAL,
    reading: ReadParams | None = None,
) -> Converted | RejectedEntry:
    """One file through the real path: listed in its folder, then converted."""
    [row] = config.build("corpus").index(root).query("path == @path").to_dict("records")
    assert not row["excluded"], row["excluded"]
    spool.mkdir(exist_ok=True)
    params = IngestParams(corpus=config, reading=reading or ReadParams())
    return convert(Task(root, row, "key", params, signal, spool))
