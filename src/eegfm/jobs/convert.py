"""One raw file to one recording: read, pick channels, filter, resample, quantise. Runs in a worker."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import CorpusConfig
from eegfm.errors import RecordingError, StoreError
from eegfm.recording import Montage
from eegfm.signal.config import SignalParams
from eegfm.signal.expected import check_expected
from eegfm.signal.filters import BlockResampler
from eegfm.signal.quality import QualityWatch
from eegfm.signal.quantize import quantize, robust_scale_uv, spread_pieces
from eegfm.signal.reader import SignalReader, open_reader
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import SAMPLE_DTYPE

NOT_READABLE = "not_readable"
"""Code of a file that the system did not let us read; the only rejection that is tried again unchanged."""


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
    """A recording whose samples lie in a file of their own, ready to be committed.

    The file needs no fsync and no rename: the committer syncs what it appends, and an interrupted run
    starts with an empty spool.
    """

    recording_id: str
    key: str
    samples_path: Path
    montage: Montage
    scales_uv: NDArray[np.float32]
    facts: dict[str, Any]
    events: list[dict[str, Any]]


def convert(task: Task) -> Converted | RejectedEntry:
    """Convert one file; a file that cannot be trusted becomes a rejection, never an exception."""
    row = task.row
    try:
        return _convert(task)
    except RecordingError as error:
        path = row["path"]
        return RejectedEntry(row["recording_id"], task.key, path, "read", error.code, error.reason, error.remedy)
    except OSError as error:
        reason = f"{error.strerror or error}"
        remedy = "check that the file is there and readable"
        return RejectedEntry(row["recording_id"], task.key, row["path"], "read", NOT_READABLE, reason, remedy)


def _convert(task: Task) -> Converted:
    corpus: Corpus = task.corpus.build(str(task.row["corpus"]))
    path = task.root / task.row["path"]
    reader = open_reader(path)
    header = reader.header
    check_expected(header, corpus.expected(path), path.name)
    channels = corpus.channels(path, header)
    details = corpus.details(path, header)
    if len(channels.picks) < task.signal.min_channels:
        raise RecordingError(
            "too_few_channels",
            f"{len(channels.picks)} EEG channels understood of labels {', '.join(header.labels)[:200]}",
            f"at least signal.min_channels={task.signal.min_channels} are needed",
        )
    stream = _Stream(reader, channels.picks, task.signal, channels.montage.channel_names)
    samples_path = task.spool / f"{task.key}.i16"
    scales_uv = stream.scales_uv()
    stops, n_clipped = stream.write(samples_path, scales_uv)
    facts = {
        **_row_facts(task.row),
        **{name: value for name, value in details.facts.items() if task.row.get(name) in (None, "")},
        "montage": channels.montage.name,
        "reference": channels.montage.reference,
        "n_channels": channels.montage.n_channels,
        "rate_hz": task.signal.rate_hz,
        "original_rate_hz": float(header.rate_hz),
        "n_samples": stops[-1],
        "segment_starts": [0, *stops[:-1]],
        "segment_stops": stops,
        "flags": sorted({*header.flags, *details.flags, *stream.watch.flags()}),
        "labels_not_understood": list(channels.not_understood),
        "n_clipped": n_clipped,
    }
    return Converted(
        recording_id=task.row["recording_id"],
        key=task.key,
        samples_path=samples_path,
        montage=channels.montage,
        scales_uv=scales_uv,
        facts=facts,
        events=stream.placed(details.events, [0, *stops[:-1]]),
    )


class _Stream:
    """The filtered signal of one recording, block by block: memory does not grow with its length."""

    def __init__(self, reader: SignalReader, picks: Sequence[int], params: SignalParams, names: Sequence[str]) -> None:
        header = reader.header
        self._reader, self._picks, self._rate_hz = reader, picks, params.rate_hz
        self._resampler = BlockResampler(header.rate_hz, params, len(picks))
        self.watch = QualityWatch(names, header.rate_hz)
        self._segments = [s for s in header.segments if (s.stop - s.start) / header.rate_hz >= params.min_duration_s]
        if not self._segments:
            longest_s = max(((s.stop - s.start) / header.rate_hz for s in header.segments), default=0.0)
            raise RecordingError(
                "too_short",
                f"longest stretch without gaps lasts {longest_s:.2f} s",
                f"at least signal.min_duration_s={params.min_duration_s} are needed",
            )

    def scales_uv(self) -> NDArray[np.float32]:
        """(C,) microvolts per step, from stretches spread over the recording."""
        pieces = spread_pieces(self._segments, self._reader.header.rate_hz)
        # Its own watch: what is read twice must not be counted twice.
        watch = QualityWatch([str(p) for p in self._picks], self._reader.header.rate_hz)
        return robust_scale_uv([block for a, b in pieces for block in self._blocks(a, b, watch)])

    def write(self, path: Path, scales_uv: NDArray[np.float32]) -> tuple[list[int], int]:
        """Filter, quantise and write all segments back to back.

        Returns:
            Where each segment stops in the written samples, and the number of clipped values.

        Raises:
            StoreError: The samples cannot be written: the store's disk is at fault, not the recording.
        """
        stops, n_written, n_clipped = [], 0, 0
        with _new_file(path) as file:
            for segment in self._segments:
                for block in self._blocks(segment.start, segment.stop, self.watch):
                    samples, n_over = quantize(block, scales_uv)
                    _append(file, samples)
                    n_written, n_clipped = n_written + len(samples), n_clipped + n_over
                stops.append(n_written)
        return stops, n_clipped

    def placed(self, events: list[dict[str, Any]], starts: list[int]) -> list[dict[str, Any]]:
        """Move event onsets from recording time to the time of the stored samples; events in gaps are dropped.

        Stored segments lie back to back, so later segments come earlier than in the recording.
        """
        header, out = self._reader.header, []
        for event in events:
            position = header.position_of(event["onset_s"])
            for segment, start in zip(self._segments, starts, strict=True):
                if position is not None and segment.start <= position < segment.stop:
                    onset_s = start / self._rate_hz + (position - segment.start) / header.rate_hz
                    out.append({**event, "onset_s": onset_s})
        return out

    def _blocks(self, start: int, stop: int, watch: QualityWatch) -> Iterator[NDArray[np.float32]]:
        def read(a: int, b: int) -> NDArray[np.float32]:
            return watch.add(self._reader.read_uv(start + a, start + b, self._picks))

        return self._resampler.blocks(read, stop - start)


def _new_file(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); check the disk of the store") from error


def _write(file: BinaryIO, samples: NDArray[np.int16]) -> None:
    file.write(np.ascontiguousarray(samples, dtype=SAMPLE_DTYPE).data)


def _append(file: BinaryIO, samples: NDArray[np.int16]) -> None:
    try:
        _write(file, samples)
    except OSError as error:
        raise StoreError(f"{file.name} cannot be written ({error.strerror}); free space on its disk") from error


def _row_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The file's row of ``raw_files`` in JSON-ready values; missing numbers become None."""
    facts: dict[str, Any] = {}
    for name, value in row.items():
        plain = value.item() if isinstance(value, np.generic) else value
        facts[name] = None if isinstance(plain, float) and np.isnan(plain) else plain
    return facts
