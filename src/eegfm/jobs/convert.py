"""One raw file to one recording: read, pick channels, filter, resample, quantise. Runs in a worker."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import CorpusConfig
from eegfm.errors import RecordingError
from eegfm.recording import Montage
from eegfm.signal.config import SignalParams
from eegfm.signal.electrodes import resolve_channels
from eegfm.signal.filters import BlockResampler
from eegfm.signal.quality import quality_flags
from eegfm.signal.quantize import quantize, robust_scale_uv
from eegfm.signal.reader import SignalReader, open_reader


@dataclass(frozen=True)
class Task:
    """What a worker needs to convert one file."""

    root: Path
    row: Mapping[str, Any]
    key: str
    corpus: CorpusConfig
    signal: SignalParams
    spool: Path


@dataclass(frozen=True)
class Converted:
    """A recording whose samples lie in a file of their own, ready to be committed."""

    recording_id: str
    key: str
    samples_path: Path
    montage: Montage
    scales_uv: NDArray[np.float32]
    facts: dict[str, Any]
    events: list[dict[str, Any]]


@dataclass(frozen=True)
class Rejection:
    """A file that does not get in."""

    recording_id: str
    key: str
    path: str
    stage: str
    code: str
    reason: str
    remedy: str


def convert(task: Task) -> Converted | Rejection:
    """Convert one file; a file that cannot be trusted becomes a rejection, never an exception."""
    row = task.row
    try:
        return _convert(task)
    except RecordingError as error:
        path = row["path"]
        return Rejection(row["recording_id"], task.key, path, "read", error.code, error.reason, error.remedy)
    except OSError as error:
        reason = f"{error.strerror or error}"
        remedy = "check that the file is there and readable"
        return Rejection(row["recording_id"], task.key, row["path"], "read", "not_readable", reason, remedy)


def _convert(task: Task) -> Converted:
    corpus: Corpus = task.corpus.build(str(task.row["corpus"]))
    path = task.root / task.row["path"]
    reader = open_reader(path)
    channels = resolve_channels(reader.header.labels, corpus.layout, corpus.reference)
    if len(channels.picks) < task.signal.min_channels:
        raise RecordingError(
            "too_few_channels",
            f"{len(channels.picks)} EEG channels understood of labels {', '.join(reader.header.labels)[:200]}",
            f"at least signal.min_channels={task.signal.min_channels} are needed",
        )
    # The whole filtered recording is held in memory: 129 channels x 1 h at 100 Hz are 186 MB.
    segments, onsets_s = _filtered_segments(reader, channels.picks, task.signal)
    signal_uv = np.concatenate(segments)
    scales_uv = robust_scale_uv(signal_uv)
    samples, n_clipped = quantize(signal_uv, scales_uv)
    stops = np.cumsum([len(s) for s in segments])
    facts = {
        **_row_facts(task.row),
        **{k: v for k, v in corpus.facts(reader.header).items() if task.row.get(k) in (None, "") or k not in task.row},
        "montage": channels.montage.name,
        "reference": channels.montage.reference,
        "n_channels": channels.montage.n_channels,
        "rate_hz": task.signal.rate_hz,
        "original_rate_hz": float(reader.header.rate_hz),
        "n_samples": len(samples),
        "segment_starts": [0, *(int(s) for s in stops[:-1])],
        "segment_stops": [int(s) for s in stops],
        "flags": sorted({*reader.header.flags, *quality_flags(signal_uv, channels.montage.channel_names)}),
        "labels_not_understood": list(channels.not_understood),
        "n_clipped": int(n_clipped),
    }
    events = _in_samples_time(corpus.events(path, reader.header), segments, onsets_s, task.signal.rate_hz)
    return Converted(
        recording_id=task.row["recording_id"],
        key=task.key,
        samples_path=_spool(task, samples),
        montage=channels.montage,
        scales_uv=scales_uv,
        facts=facts,
        events=events,
    )


def _row_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The file's row of ``raw_files`` in JSON-ready values; missing numbers become None."""
    facts: dict[str, Any] = {}
    for name, value in row.items():
        plain = value.item() if isinstance(value, np.generic) else value
        facts[name] = None if isinstance(plain, float) and np.isnan(plain) else plain
    return facts


def _filtered_segments(
    reader: SignalReader, picks: tuple[int, ...], params: SignalParams
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """Each gap-free segment that is long enough, filtered on its own, and its onset in file time."""
    header = reader.header
    resampler = BlockResampler(header.rate_hz, params, len(picks))
    segments, onsets_s = [], []
    for start, stop, onset_s in header.segments:
        if (stop - start) / header.rate_hz >= params.min_duration_s:
            segments.append(np.concatenate(list(_blocks(resampler, reader, picks, start, stop))))
            onsets_s.append(onset_s)
    if not segments:
        longest_s = max(((b - a) / header.rate_hz for a, b, _ in header.segments), default=0.0)
        raise RecordingError(
            "too_short",
            f"longest stretch without gaps lasts {longest_s:.2f} s",
            f"at least signal.min_duration_s={params.min_duration_s} are needed",
        )
    return segments, onsets_s


def _blocks(
    resampler: BlockResampler, reader: SignalReader, picks: tuple[int, ...], start: int, stop: int
) -> Iterator[NDArray[np.float32]]:
    return resampler.blocks(lambda a, b: reader.read_uv(start + a, start + b, picks), stop - start)


def _in_samples_time(
    events: list[dict[str, Any]], segments: list[NDArray[np.float32]], onsets_s: list[float], rate_hz: float
) -> list[dict[str, Any]]:
    """Move event onsets from file time to the time of the stored samples; events in gaps are dropped.

    Stored segments lie back to back, so the time of a later segment is earlier than in the file by the
    gaps before it.
    """
    starts = np.cumsum([0, *(len(s) for s in segments)])
    out = []
    for event in events:
        for k, (segment, onset_s) in enumerate(zip(segments, onsets_s, strict=True)):
            inside_s = event["onset_s"] - onset_s
            if 0 <= inside_s < len(segment) / rate_hz:
                out.append({**event, "onset_s": float(starts[k] / rate_hz + inside_s)})
    return out


def _spool(task: Task, samples: NDArray[np.int16]) -> Path:
    """Write the samples to a file of this recording's own, whole or not at all."""
    path = task.spool / f"{task.key}.npy"
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, samples, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path
