"""Filter one recording block by block. Memory does not grow with its length."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eegfm.errors import RecordingError, StoreError
from eegfm.signal.config import SignalParams
from eegfm.signal.header import Segment, SignalReader
from eegfm.signal.processing.bad_stretches import NOTHING_BAD, BadStretches, cut_pieces, spans_of
from eegfm.signal.processing.filters import BlockResampler
from eegfm.signal.processing.fingerprint import ChannelHashes
from eegfm.signal.processing.kernels import band_kernels
from eegfm.signal.processing.plausible import StatedUnit, check_plausible, refuse_faint
from eegfm.signal.processing.quality import Quality, QualityWatch, Span, without_spans
from eegfm.signal.processing.quantize import channel_mads_uv, quantize, robust_scale_uv, spread_pieces
from eegfm.store.checksums import BlockChecksums
from eegfm.store.layout import SAMPLE_DTYPE

_See = Callable[[NDArray[np.float32], int], NDArray[np.float32]]
"""``see(block, start)`` measures (C, T) raw samples and returns them with finite values for an FFT."""


class Written(NamedTuple):
    """Facts about the written samples.

    Args:
        n_samples: Stored samples.
        segments: Stored stretches [start, stop) without gaps, dead spans and stretches that are annotated bad.
        segment_onsets_s: Start of each stretch in recording time, gaps counted.
        n_clipped: Values beyond full scale, outside stretches that are annotated bad.
        flags: Faults of the signal.
        bad_ratio: Share of channel time that is still or non-finite.
        block_crc32c: Checksums of the stored samples.
        signal_hashes: Hash of each channel's decoded signal; "" for a flat channel.
    """

    n_samples: int
    segments: list[Span]
    segment_onsets_s: list[float]
    n_clipped: int
    flags: tuple[str, ...]
    bad_ratio: float
    block_crc32c: list[int]
    signal_hashes: list[str]


class FilteredStream:
    """One recording on its way to the store.

    Args:
        reader: The open recording.
        picks: Channels to take, in store order.
        params: Rate, filters and limits.
        names: Names of the channels.
        boundaries_s: Recording times of further ends of segments, which the file does not mark.
        bad: Stretches that no window may touch. They are filtered separately, so that they do not affect their
            neighbours. They are stored, so that the time of the stored samples has no jump.
        unit: Unit of the channels, for messages about their amplitude.

    Raises:
        RecordingError: No segment is long enough (``too_short``), all of it is annotated bad (``annotated_bad``), or
            its rate is too low for the band.
    """

    def __init__(
        self,
        reader: SignalReader,
        picks: Sequence[int],
        params: SignalParams,
        names: Sequence[str],
        boundaries_s: Sequence[float] = (),
        bad: BadStretches = NOTHING_BAD,
        unit: StatedUnit | None = None,
    ) -> None:
        header = reader.header.split_at([*boundaries_s, *bad.points_s])
        self._reader, self._picks, self._names, self._params = reader, picks, tuple(names), params
        self._unit = unit
        self._resampler = BlockResampler(header.exact_rate_hz, params, len(picks))
        whole = self._longer("longest stretch without gaps", header.segments)
        spans, step = spans_of(bad, header), self._resampler.n_between_cuts
        pieces = [piece for segment in whole for piece in cut_pieces(segment, spans, header.rate_hz, step)]
        self._segments = [piece.segment for piece in pieces]
        self._bad = {piece.segment for piece in pieces if piece.is_bad}
        good = [s for s in self._segments if s not in self._bad]
        if not good:
            raise _annotated_bad(spans, header.rate_hz)
        self._long = set(self._longer("longest stretch that is not annotated bad", good))
        n_short = len(header.segments) - len(whole) + len(good) - len(self._long)
        bad_s = sum(s.stop - s.start for s in self._bad) / header.rate_hz
        counts = {"short_segments": n_short, "bad_stretches": len(self._bad), "bad_s": round(bad_s, 3)}
        self._flags = (*bad.flags, *(f"{name}:{n:g}" for name, n in counts.items() if n))
        self._starts: list[int] = []
        self._plausibility: tuple[str, ...] = ()

    def _longer(self, what: str, segments: Sequence[Segment]) -> list[Segment]:
        """The segments that are long enough, at least one."""
        rate_hz, params = self._reader.header.rate_hz, self._params
        kept = [s for s in segments if (s.stop - s.start) / rate_hz >= params.min_duration_s]
        if not kept:
            raise _too_short(what, max(((s.stop - s.start) / rate_hz for s in segments), default=0.0), params)
        return kept

    def scales_uv(self) -> NDArray[np.float32]:
        """(C,) microvolts per step, from stretches spread over the recording.

        Raises:
            RecordingError: The amplitudes are not those of EEG.
        """
        good = [segment for segment in self._segments if segment not in self._bad]
        pieces = spread_pieces(good, self._reader.header.rate_hz)
        # Use a separate monitor, because samples that are read twice must not be counted twice.
        watch = QualityWatch(self._names, self._reader.header.rate_hz)
        # Join the blocks of each stretch, because the cuts between blocks must not affect the scale.
        stretches_uv = [np.concatenate([*self._blocks(a, b, watch.add)]) for a, b in pieces]
        mads_uv = channel_mads_uv(stretches_uv)
        if not mads_uv.any():
            is_varying = watch.ranges_uv > 0
            refuse_faint(np.where(is_varying, np.concatenate(stretches_uv).std(axis=0), 0.0), self._unit)
        self._plausibility = check_plausible(mads_uv, self._names, self._unit)
        return robust_scale_uv(stretches_uv, mads_uv)

    def write(self, path: Path, scales_uv: NDArray[np.float32]) -> Written:
        """Filter, quantise and write all segments back to back.

        Raises:
            StoreError: The samples cannot be written. The store's disk is at fault, not the recording.
            RecordingError: Too much of the signal is bad (``bad_signal``), or the rest is too short.
        """
        hashes = ChannelHashes(len(self._names))
        watch, unheeded = (QualityWatch(self._names, self._reader.header.rate_hz, hashes) for _ in range(2))
        checksums = BlockChecksums()
        n_written, n_clipped, stops = 0, 0, []
        with _new_file(path) as file:
            for segment in self._segments:
                self._starts.append(n_written)
                is_bad = segment in self._bad
                for block in self._blocks(segment.start, segment.stop, (unheeded if is_bad else watch).add):
                    samples, n_over = quantize(block, scales_uv)
                    _append(file, samples)
                    checksums.add(samples)
                    n_written, n_clipped = n_written + len(samples), n_clipped + (0 if is_bad else n_over)
                stops.append(n_written)
        quality = watch.result()
        self._check_quality(quality)
        flat = {flag.removeprefix("flat:") for flag in quality.flags if flag.startswith("flat:")}
        signal_hashes = ["" if n in flat else h for n, h in zip(self._names, hashes.result(), strict=True)]
        segments = self._usable(stops, quality.dead_spans)
        flags = (*quality.flags, *self._plausibility, *self._flags)
        onsets_s = [self._onset_s(start) for start, _ in segments]
        return Written(
            n_written, segments, onsets_s, n_clipped, flags, quality.bad_ratio, checksums.result(), signal_hashes
        )

    def _onset_s(self, stored: int) -> float:
        """Recording time of a stored sample."""
        place = max(k for k, first in enumerate(self._starts) if first <= stored)
        return self._segments[place].onset_s + (stored - self._starts[place]) / self._params.rate_hz

    def placed(self, events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Move event onsets from recording time to the time of the stored samples.

        Stored segments lie back to back, so later segments start earlier than in the recording. An event may start
        where nothing is stored and last into a stored segment. It then starts with this segment, because a seizure does
        not end where a gap begins.

        Returns:
            The events and the flags. ``events_outside:<n>`` counts events that are left out, because they lie in gaps,
            in segments that are too short, or outside the recording. ``events_late:<n>`` counts events whose start was
            moved.
        """
        out, n_late = [], 0
        for event in events:
            found = self._place(event["onset_s"]) or self._late_place(event)
            if found is not None:
                out.append({**event, **found})
                n_late += "duration_s" in found
        counts = {"events_outside": len(events) - len(out), "events_late": n_late}
        return out, tuple(f"{name}:{n}" for name, n in counts.items() if n)

    def n_in_bad(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Number of events that start in stretches that are annotated bad."""
        positions = [self._reader.header.position_of(event["onset_s"]) for event in events]
        return sum(p is not None and any(s.start <= p < s.stop for s in self._bad) for p in positions)

    def _place(self, time_s: float) -> dict[str, float] | None:
        """Time in stored samples of a recording time; None if nothing is stored at this time."""
        header = self._reader.header
        position = header.position_of(time_s)
        for segment, start in zip(self._segments, self._starts, strict=True):
            if position is not None and segment.start <= position < segment.stop:
                return {"onset_s": start / self._params.rate_hz + (position - segment.start) / header.rate_hz}
        return None

    def _late_place(self, event: dict[str, Any]) -> dict[str, float] | None:
        """Onset and duration of the stored part of an event that starts where nothing is stored."""
        stop_s = event["onset_s"] + (event.get("duration_s") or 0.0)
        for segment, start in zip(self._segments, self._starts, strict=True):
            if event["onset_s"] < segment.onset_s < stop_s:
                return {"onset_s": start / self._params.rate_hz, "duration_s": stop_s - segment.onset_s}
        return None

    def _blocks(self, start: int, stop: int, see: _See) -> Iterator[NDArray[np.float32]]:
        def read(a: int, b: int) -> NDArray[np.float32]:
            return see(self._reader.read_uv(start + a, start + b, self._picks), start + a)

        return self._resampler.blocks(read, stop - start)

    def _check_quality(self, quality: Quality) -> None:
        if quality.bad_ratio > self._params.max_bad_ratio:
            raise RecordingError(
                "bad_signal",
                f"{quality.bad_ratio:.0%} of the channel time is flat, still or not finite",
                f"signal.max_bad_ratio={self._params.max_bad_ratio} allows less; leave the file out, or raise it",
            )

    def _usable(self, stops: list[int], dead_spans: tuple[Span, ...]) -> list[Span]:
        """Stored stretches that are not bad, without samples that the filter mixes with dead samples.

        A stretch that is annotated bad needs no margin, because it was filtered separately.
        """
        rate_in_hz, params = self._reader.header.rate_hz, self._params
        margin = sum(kernel.size // 2 for kernel in band_kernels(rate_in_hz, params)) if dead_spans else 0
        out = []
        for segment, first, stop in zip(self._segments, self._starts, stops, strict=True):
            if segment not in self._long:
                continue
            left = without_spans(segment.start, segment.stop, dead_spans, margin)
            if left == [(segment.start, segment.stop)]:
                out.append((first, stop))
                continue
            for a, b in left:
                alive_from = first + int(np.ceil((a - segment.start) / rate_in_hz * params.rate_hz))
                alive_to = first + self._resampler.n_out(b - segment.start)
                if alive_to - alive_from >= params.min_duration_s * params.rate_hz:
                    out.append((alive_from, alive_to))
        if not out:
            raise _too_short("longest stretch without dead spans", 0.0, params)
        return out


def _too_short(what: str, found_s: float, params: SignalParams) -> RecordingError:
    found = f"lasts {found_s:.2f} s" if found_s else "is too short"
    return RecordingError(
        "too_short", f"{what} {found}", f"at least signal.min_duration_s={params.min_duration_s} are needed"
    )


def _annotated_bad(spans: Sequence[Span], rate_hz: float) -> RecordingError:
    bad_s = sum(stop - start for start, stop in spans) / rate_hz
    return RecordingError(
        "annotated_bad",
        f"all of its {bad_s:.2f} s are annotated bad",
        "leave it out, or say in ingest.reading.bad_annotations which annotations count",
    )


def _new_file(path: Path) -> FileIO:
    """Open the file unbuffered. With a buffer, a full disk would show at closing and look like a fault of the file."""
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); check the disk of the store") from error


def _write(file: FileIO, samples: NDArray[np.int16]) -> None:
    data = np.ascontiguousarray(samples, dtype=SAMPLE_DTYPE).reshape(-1).view(np.uint8).data
    while data:
        data = data[file.write(data) :]


def _append(file: FileIO, samples: NDArray[np.int16]) -> None:
    try:
        _write(file, samples)
    except OSError as error:
        raise StoreError(f"{file.name} cannot be written ({error.strerror}); free space on its disk") from error
