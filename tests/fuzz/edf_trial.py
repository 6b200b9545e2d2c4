"""Send damaged files through the whole acceptance path, and compare the results with the truth."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.corpora.manifest import KnownFile, published_text
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import INTERNAL_ERROR, Converted, Task, convert
from eegfm.signal.config import SignalParams
from eegfm.signal.header import SignalReader
from eegfm.signal.montages.electrodes import resolve_channels
from eegfm.signal.open import open_reader
from fuzz.edf_bases import Base
from fuzz.edf_mutations import Mutated

CORPUS = EdfFolderCorpus(pattern="{subject}")
SIGNAL = SignalParams(min_channels=1, min_duration_s=1.0)
Knowledge = Literal["nothing", "size and rate", "checksum"]
Outcome = Literal["right", "shorter", "flagged", "rejected", "wrong"]
# What the flags of a signal or its timing start with; a bad date excuses no wrong sample.
SIGNAL_FLAGS = (
    "truncated", "lost_s", "fractional_rate", "gaps_in_continuous_file", "more_data_than_declared",
    "extra_bytes_at_end", "record_clock_drift", "flat", "still", "dead_spans", "clipped", "implausible_amplitude",
    "offset_disagrees", "outside_digital_range", "inverted_physical_range",
)  # fmt: skip
MAX_ERROR_SAMPLES = 0.01


@dataclass(frozen=True)
class Verdict:
    """What became of a damaged file.

    Args:
        outcome: ``shorter`` is right as far as it goes, and says so; ``flagged`` differs and says so.
        why: Code of a rejection, flags, or what differs.
        is_timing: Whether the rate or the place of samples in time is what differs.
    """

    outcome: Outcome
    why: str
    is_timing: bool = False


def judge(base: Base, mutated: Mutated, knowledge: Knowledge, root: Path) -> Verdict:
    """Convert one damaged file, with what is known of it beforehand, and compare what gets in with the truth."""
    path = root / f"x{mutated.suffix}"
    path.write_bytes(mutated.data)
    try:
        done = convert(task_of(base, path, knowledge))
    finally:
        for spooled in root.glob("*.i16"):
            spooled.unlink()
    if not isinstance(done, Converted):
        assert done.code != INTERNAL_ERROR, f"{mutated.kind}, {mutated.detail}: {done.reason}"
        assert done.remedy
        assert done.reason
        verdict = Verdict("rejected", done.code)
    else:
        verdict = _compare(base, mutated, open_reader(path), done.facts["flags"])
    path.unlink()
    return verdict


def task_of(base: Base, path: Path, knowledge: Knowledge) -> Task:
    """What a worker is told of the file; its checksum and size are those of the file before it was damaged."""
    corpus: Corpus = CORPUS.build("fuzz")
    known = {
        "nothing": KnownFile(),
        "size and rate": KnownFile(n_bytes=len(base.data)),
        "checksum": KnownFile(len(base.data), f"sha256:{hashlib.sha256(base.data).hexdigest()}"),
    }[knowledge]
    stat = path.stat()
    row = corpus._row(path.name, stat.st_size, stat.st_mtime_ns, {"subject": "x"})
    row |= {"sidecars": "", "published": published_text({path.name: known})}
    rates_hz = () if knowledge == "nothing" else (base.rate_hz,)
    params = IngestParams(corpus=CORPUS, rates_hz=rates_hz)
    return Task(path.parent, row, "key", params, SIGNAL, path.parent)


def _compare(base: Base, mutated: Mutated, reader: SignalReader, flags: list[str]) -> Verdict:
    header = reader.header
    found = [flag for flag in flags if flag.startswith(SIGNAL_FLAGS)]
    timing = _timing_error(base, mutated, reader)
    error = timing or _signal_error(base, reader)
    if error:
        return Verdict("flagged" if found else "wrong", f"{error}; {' '.join(found)}", bool(timing))
    n_true = round(len(base.onsets_s) * base.record_s * base.rate_hz)
    if header.n_samples == n_true:
        return Verdict("right", " ".join(flags))
    if not found:
        return Verdict("wrong", f"{header.n_samples} of {n_true} samples without a flag")
    return Verdict("shorter", " ".join(flags))


def _timing_error(base: Base, mutated: Mutated, reader: SignalReader) -> str:
    """Compare rate and segments; every sample of a segment must lie where the truth has it in time."""
    header = reader.header
    if abs(header.rate_hz / base.rate_hz - 1) * header.n_samples > MAX_ERROR_SAMPLES:
        return f"{header.rate_hz:g} Hz, not {base.rate_hz:g}"
    onsets_s, n = np.array(mutated.onsets_s), round(base.record_s * base.rate_hz)
    true_s = (onsets_s[:, None] - onsets_s[0] + np.arange(n) / base.rate_hz).reshape(-1)
    for segment in header.segments:
        found_s = segment.onset_s + np.arange(segment.stop - segment.start) / header.rate_hz
        if segment.stop > true_s.size:
            return f"{header.n_samples} samples, there were {true_s.size}"
        off = np.abs(found_s - true_s[segment.start : segment.stop]).max() * base.rate_hz
        if off > MAX_ERROR_SAMPLES:
            return f"samples are {off:g} samples off in time"
    return ""


def _signal_error(base: Base, reader: SignalReader) -> str:
    """Compare each electrode with the truth of its name, to half a digit and the rounding of float32."""
    header = reader.header
    channels = resolve_channels(header.labels, "1005")
    signals_uv = reader.read_uv(0, header.n_samples, channels.picks)
    for name, signal_uv in zip(channels.montage.channel_names, signals_uv, strict=True):
        if name not in base.truth_uv:
            return f"{name} was never recorded"
        true_uv = base.truth_uv[name][: header.n_samples]
        tolerance_uv = base.step_uv[name] / 2 + np.abs(true_uv) * np.finfo(np.float32).eps
        is_off = np.abs(signal_uv - true_uv) > tolerance_uv
        if is_off.any():
            return f"{name} is off in {is_off.sum()} of {is_off.size} samples"
    return ""
