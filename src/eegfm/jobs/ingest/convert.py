"""Convert one raw file: check, read, pick channels, filter, resample, quantise. Runs in a worker."""

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.corpora.base import OPTIONS_USED, Corpus, StoredFacts, file_version
from eegfm.corpora.manifest import check_published
from eegfm.corpora.raw_listing import NOT_SEEN
from eegfm.errors import EegfmError, RecordingError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.memory import keep_freed_memory
from eegfm.jobs.ingest.stored_rate import MAX_CLOCK_ERROR_RATIO, UPSAMPLED
from eegfm.jobs.ingest.stream import FilteredStream
from eegfm.recording import Montage
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.signal.expected import Expected, check_expected
from eegfm.signal.header import RecordingHeader
from eegfm.signal.montages.electrodes import ResolvedChannels
from eegfm.signal.montages.labels import options_used
from eegfm.signal.named_files import OTHER_NAME_FLAGS, named_files
from eegfm.signal.open import FORMATS, Format, format_of, open_reader
from eegfm.signal.pointers import NOT_FETCHED
from eegfm.signal.processing.bad_stretches import bad_ones, bad_stretches, says_bad
from eegfm.signal.processing.plausible import StatedUnit
from eegfm.signal.processing.quality import BAD_FLAGS, bad_channels, clipped_together, without_clipped
from eegfm.signal.units import unit_uv
from eegfm.store.index import RejectedEntry

NOT_READABLE = "not_readable"
INTERNAL_ERROR = "internal_error"
TRIED_AGAIN = frozenset({NOT_READABLE, "unreadable", NOT_FETCHED, INTERNAL_ERROR})
"""Codes of rejections that are tried again although the file is unchanged.

Its size and time do not change if permissions change, a disk answers again, content is fetched elsewhere, or a bug of
this project is mended.
"""
LIMITED = frozenset({"kills_worker", "too_large"})
"""Codes of rejections that are tried again if the limits change."""
MIN_GOOD_CHANNELS = 2
"""Least number of good scalp electrodes. The average of one electrode is the electrode itself, so nothing is left."""
UNFORESEEN = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Exceptions of our own bugs. One odd file is then rejected; the rest of the corpus is still converted."""


@dataclass(frozen=True)
class Task:
    """Everything that a worker needs to convert one file.

    Args:
        root: The raw folder.
        row: The file's row of ``raw_files``.
        key: Identity of the converted recording.
        params: Parameters of ingestion.
        signal: Rate and filters.
        spool: Folder for the worker's files.
        stored_content: Content of the files that the stored recording was made from, see
            ``eegfm.jobs.ingest.same_content``; empty if there is none, or if it is stale for another reason.
        stored_named: Files that only the header of the stored recording names.
        stored_key: Key of the stored recording or rejection.
    """

    root: Path
    row: Mapping[str, Any]
    key: str
    params: IngestParams
    signal: SignalParams
    spool: Path
    stored_content: str = ""
    stored_named: tuple[str, ...] = ()
    stored_key: str = ""

    @property
    def path(self) -> Path:
        """The raw file."""
        return self.root / str(self.row["path"])

    def rejected(self, code: str, reason: str, remedy: str) -> RejectedEntry:
        """The row of a rejected file."""
        key = self.limited_key if code in LIMITED else self.key
        return RejectedEntry(self.row["recording_id"], key, self.row["path"], "read", code, reason, remedy)

    def named_versions(self) -> dict[str, str]:
        """Versions of files that only the header names, by path inside the raw folder."""
        files = named_files(self.path, self.params.reading)
        return {file.relative_to(self.root).as_posix(): file_version(file) for file in files}

    @property
    def same_key(self) -> str:
        """The key of the stored recording or rejection if the contents of its files are the same."""
        limits = self.stored_key.partition(":")[2]
        return f"{self.key}:{limits}" if limits else self.key

    @property
    def limited_key(self) -> str:
        """The key of a file that was rejected by limits of this run."""
        reading = self.params.reading
        limits = f"{reading.timeout_s}:{reading.max_memory_bytes}:{self.params.workers.n_workers}"
        return f"{self.key}:{limits}"


@dataclass(frozen=True)
class Converted:
    """A recording whose samples lie in a separate file, ready to be committed.

    The file needs no fsync and no rename. The committer syncs the appended samples, and the next run after an
    interruption starts with an empty spool. ``formats`` names the readers that the recording depends on. ``content`` is
    the content of its files, see ``eegfm.jobs.ingest.same_content``.
    """

    recording_id: str
    key: str
    samples_path: Path
    montage: Montage
    scales_uv: NDArray[np.float32]
    block_crc32c: list[int]
    bad_channels: tuple[str, ...]
    facts: dict[str, Any]
    events: list[dict[str, Any]]
    named: dict[str, str]
    formats: tuple[Format, ...]
    content: str = ""

    @property
    def hours(self) -> float:
        """Hours of EEG."""
        return float(self.facts["n_samples"] / self.facts["rate_hz"] / 3600)


def convert(task: Task) -> Converted | RejectedEntry:
    """Convert one file. A file that cannot be trusted becomes a rejection, never an exception."""
    keep_freed_memory()
    try:
        return _convert(task)
    except RecordingError as error:
        return replace(task.rejected(error.code, error.reason, error.remedy), named=task.named_versions())
    except EegfmError:
        raise  # a fault of the store's disk or of the configuration, not of this file
    except UNFORESEEN as error:
        return task.rejected(
            INTERNAL_ERROR, _whereabouts(task, error), "report this file's kind of fault to the project"
        )
    except OSError as error:
        # The cause may be an unreadable side file.
        reason = f"{error.filename or task.row['path']}: {error.strerror or error}"
        return task.rejected(NOT_READABLE, reason, "check that the file is there and readable")
    except MemoryError:
        reason = f"{task.row['n_bytes']} bytes do not fit into the memory of this machine"
        return task.rejected(NOT_READABLE, reason, "use fewer workers, or a machine with more memory")


def _convert(task: Task) -> Converted:
    corpus: Corpus = task.params.corpus.build(str(task.row["corpus"]))
    path, name = task.path, str(task.row["path"])
    _check_unchanged(task, "since the folder was listed")
    check_published(task.root, str(task.row["published"]))
    own_format = format_of(path)
    reader = open_reader(path, task.params.reading)
    header = reader.header
    check_expected(header, Expected(rates_hz=task.params.rates_hz, source="ingest.rates_hz"), name)
    check_expected(header, _expected(corpus, path, header), name)
    channels = corpus.channels(path, header, task.params.reading)
    _check_count(channels, header, task.signal)
    details = corpus.details(path, header, task.params.reading)
    names = channels.montage.channel_names
    patterns = task.params.reading.bad_annotations
    noted = [*details.events, *bad_ones(corpus.notes(path, header), details.events, patterns, header.rate_hz)]
    stretches = bad_stretches(noted, patterns)
    unit = _stated_unit([header.units[pick] for pick in channels.picks], task.params.reading)
    stream = FilteredStream(reader, channels.picks, task.signal, names, details.boundaries_s, stretches, unit)
    samples_path = task.spool / f"{task.key}.i16"
    scales_uv = stream.scales_uv()
    written = stream.write(samples_path, scales_uv)
    events, event_flags = _placed(stream, noted, patterns)
    _check_unchanged(task, "while it was read")
    own_flags = (*header.flags, *details.flags, *written.flags, *_upsampled(header, task.signal))
    flags = sorted({*own_flags, *event_flags, *_unknown(channels)})
    bad, flags = _bad_channels(flags, channels.montage, details.reference_electrode)
    facts: StoredFacts = {
        "montage": channels.montage.name,
        "reference": channels.montage.reference,
        "n_channels": channels.montage.n_channels,
        "rate_hz": task.signal.rate_hz,
        "original_rate_hz": float(header.rate_hz),
        "units": sorted({header.units[pick] for pick in channels.picks}),
        "n_samples": written.n_samples,
        "segment_starts": [start for start, _ in written.segments],
        "segment_stops": [stop for _, stop in written.segments],
        "segment_onsets_s": written.segment_onsets_s,
        "flags": flags,
        "bad_channels": list(bad),
        "labels_left_out": list(channels.left_out),
        "labels_not_understood": list(channels.not_understood),
        "signal_hashes": written.signal_hashes,
        "bad_ratio": written.bad_ratio,
        "n_clipped": written.n_clipped,
    }
    used = options_used(header.labels, task.params.reading)
    return Converted(
        recording_id=task.row["recording_id"],
        key=task.key,
        samples_path=samples_path,
        montage=channels.montage,
        scales_uv=scales_uv,
        block_crc32c=written.block_crc32c,
        bad_channels=bad,
        facts={**details.facts, **facts, **({OPTIONS_USED: list(used)} if used else {})},
        events=events,
        named=task.named_versions() if OTHER_NAME_FLAGS.intersection(header.flags) else {},
        formats=FORMATS if details.opened_others else (own_format,),
    )


def _placed(
    stream: FilteredStream, noted: list[dict[str, Any]], patterns: tuple[str, ...]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Events on the stored time axis, with flags. Events in bad stretches are counted."""
    events, flags = stream.placed(noted)
    n_in_bad = stream.n_in_bad(event for event in noted if not says_bad(event, patterns))
    return events, (*flags, *((f"events_in_bad:{n_in_bad}",) if n_in_bad else ()))


def _expected(corpus: Corpus, path: Path, header: RecordingHeader) -> Expected:
    """Facts known before reading. A salvaged file ends early, so its length is not expected."""
    expected = corpus.expected(path)
    return replace(expected, duration_s=None) if "truncated" in header.flags else expected


def _stated_unit(units: Sequence[str], reading: ReadParams) -> StatedUnit | None:
    """The unit of most channels."""
    name, _ = Counter(units).most_common(1)[0]
    size_uv = unit_uv(name, reading.units)
    return None if size_uv is None else StatedUnit(name, size_uv)


def _whereabouts(task: Task, error: BaseException) -> str:
    """File, kind of error, and the line of our code that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:200]
    return (
        f"{task.row['path']}: {type(error).__name__}: {text} (in {last.name}, {Path(last.filename).name}:{last.lineno})"
    )


def _check_unchanged(task: Task, when: str) -> None:
    """Refuse a file that changed during the conversion, or that nobody could look at. Its identity would be wrong."""
    if task.row["n_bytes"] == NOT_SEEN:
        raise RecordingError(
            NOT_READABLE,
            f"{task.row['path']}: this user may not read it, nor what is in it",
            "give this user the right to read it, and run again",
        )
    if not task.path.exists():
        return  # opening the file raises the error
    stat = task.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (task.row["n_bytes"], task.row["mtime_ns"]):
        raise RecordingError(
            "changed_file",
            f"{task.row['path']}: size or modification time changed {when}",
            "wait until nothing writes to the raw folder any more, then run again",
        )


def _bad_channels(
    flags: Sequence[str], montage: Montage, reference_electrode: str | None
) -> tuple[tuple[str, ...], list[str]]:
    """Bad channels, which windows leave out, and all flags of the recording.

    The reference electrode is flat by definition, so this is no flag.

    Raises:
        RecordingError: Fewer than two good scalp electrodes are left, so there is no average (``no_good_channels``).
    """
    reference = "Cz" if montage.reference == "Cz" else reference_electrode
    on_scalp = [name for name, is_scalp in zip(montage.channel_names, montage.is_scalp, strict=True) if is_scalp]
    together = clipped_together(flags, on_scalp, reference)
    bad = bad_channels(without_clipped(flags) if together else flags, montage.channel_names, reference)
    n_good = sum(name not in bad for name in on_scalp)
    if n_good < MIN_GOOD_CHANNELS and n_good < len(on_scalp):
        raise RecordingError(
            "no_good_channels",
            f"{len(on_scalp) - n_good} of {len(on_scalp)} scalp electrodes are bad ({', '.join(bad)[:200]}); at least "
            f"{MIN_GOOD_CHANNELS} good ones are needed",
            f"correct channels.tsv if they are good, or leave the file out; flags that make a channel bad: "
            f"{', '.join(sorted(BAD_FLAGS - {'clipped'}))}",
        )
    rest = [flag for flag in flags if flag != f"flat:{reference}"]
    return bad, sorted([*rest, *([f"clipped_together:{len(together)}"] if together else [])])


def _unknown(channels: ResolvedChannels) -> tuple[str, ...]:
    return (*channels.flags, *(("labels_not_understood",) if channels.not_understood else ()))


def _upsampled(header: RecordingHeader, signal: SignalParams) -> tuple[str, ...]:
    """A flag where the stored rate lies above that of the recording by more than a clock's error."""
    is_lower = header.rate_hz < signal.rate_hz * (1 - MAX_CLOCK_ERROR_RATIO)
    return (f"{UPSAMPLED}:{header.rate_hz:g}",) if is_lower else ()


def _check_count(channels: ResolvedChannels, header: RecordingHeader, signal: SignalParams) -> None:
    if len(channels.picks) < signal.min_channels:
        raise RecordingError(
            "too_few_channels",
            f"{len(channels.picks)} EEG channels understood of labels {', '.join(header.labels)[:200]}",
            f"at least signal.min_channels={signal.min_channels} are needed",
        )
