"""Damaged EEGLAB files that get in and are wrong. ``EEGFM_FUZZ=full`` runs 1,000 mutations in place of 250."""

import hashlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from eegfm.corpora.config import BidsCorpus
from eegfm.errors import RecordingError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import INTERNAL_ERROR, Converted, Task, convert
from eegfm.signal.config import SignalParams
from eegfm.signal.expected import Expected, check_expected
from eegfm.signal.header import Annotation, SignalReader
from eegfm.signal.open import open_reader
from eegfm.store.index import RejectedEntry
from fuzz.set_mutations import WEIGHTS, Case, Valid, damaged_recording, valid_recording
from set_files import eeg_uv, write_fdt

N_MUTATIONS = 1000 if os.environ.get("EEGFM_FUZZ") == "full" else 125
BATCH = 25
MAX_S = 20
INGEST = IngestParams(corpus=BidsCorpus())
SIGNAL = SignalParams(min_channels=1)
# What is said of every file of some kind, right or wrong, excuses nothing.
NO_EXCUSE = frozenset({"xmin_not_zero", "fdt_renamed", "fdt_other_name", "events_without_latency"})


@dataclass
class Tally:
    """What became of the mutations."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_what: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    wrong_with_checksum: list[str] = field(default_factory=list)
    wrong_timing_with_rate: list[str] = field(default_factory=list)
    intact_rejected: list[str] = field(default_factory=list)
    n_intact: int = 0

    def count(self, case: Case, outcome: str) -> None:
        """Take note of what became of one mutation."""
        self.outcomes[outcome] += 1
        self.by_what[case.kind, case.what, outcome] += 1
        if case.is_intact:
            self.n_intact += 1
            if outcome != "right":
                self.intact_rejected.append(f"{case.path.name}: {case.what}: {outcome}")


class _HungError(Exception):
    pass


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _HungError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_batch(folder: Path, seeds: range, tally: Tally) -> None:
    """Damage, convert and judge the recordings of these seeds."""
    root, spool = folder / "raw", folder / "spool"
    spool.mkdir(parents=True)
    paths = {seed: f"sub-{seed:05d}/eeg/sub-{seed:05d}_task-rest_eeg.set" for seed in seeds}
    cases = {path: damaged_recording(seed, root / path) for seed, path in paths.items()}
    wrong = []
    for task in tasks(root, spool):
        case = cases[str(task.row["path"])]
        outcome = outcome_of(case, task, tally)
        tally.count(case, outcome)
        if outcome == "wrong":
            wrong.append(str(task.row["path"]))
    lines = [
        f"{digest}  {file.relative_to(root)}" for case in cases.values() for file, digest in case.published.items()
    ]
    (root / "SHA256SUMS.txt").write_text("\n".join(lines))
    for task in tasks(root, spool):
        if task.row["path"] in wrong and isinstance(convert(task), Converted):
            tally.wrong_with_checksum.append(f"{task.row['path']}: {cases[str(task.row['path'])].what}")
    shutil.rmtree(folder)


def tasks(root: Path, spool: Path) -> list[Task]:
    rows = INGEST.corpus.build("fuzz").index(root).to_dict("records")
    return [Task(root, row, row["subject"], INGEST, SIGNAL, spool) for row in rows]


def outcome_of(case: Case, task: Task, tally: Tally) -> str:
    try:
        with time_limit():
            result = convert(task)
            if isinstance(result, RejectedEntry):
                tally.codes[result.code] += 1
                return judged_rejection(result)
            return judged_recording(case, result, tally)
    except _HungError:
        return "hung"
    except Exception as error:  # noqa: BLE001 - whatever escapes is what is counted here
        return f"crashed: {error!r}"


def judged_rejection(entry: RejectedEntry) -> str:
    """Whether a user can act on it."""
    if entry.code == INTERNAL_ERROR:
        return f"crashed: {entry.reason}"
    is_plain = entry.code and entry.reason and entry.remedy and "MNE" not in entry.reason
    return "rejected" if is_plain else f"rejected without help: {entry}"


def judged_recording(case: Case, converted: Converted, tally: Tally) -> str:
    """Compare what got in with the truth."""
    flags = set(converted.facts["flags"]) - NO_EXCUSE
    reader, truth = open_reader(case.path), case.truth
    header = reader.header
    is_timed = header.rate_hz == truth.rate_hz and same_times(header.annotations, truth.notes, truth.rate_hz)
    is_same = is_timed and header.labels == truth.labels and same_samples(reader, truth)
    if is_same and header.segments == truth.segments:
        return "right"
    if flags:
        return "right, shorter" if is_same else "flagged"
    tally.wrong.append(f"{case.path.name}: {case.kind}, {case.what}")
    known = Expected(rates_hz=(truth.rate_hz,), duration_s=truth.signal_uv.shape[1] / truth.rate_hz, source="truth")
    try:
        check_expected(header, known, case.path.name)
    except RecordingError:
        return "wrong"
    if not is_timed:
        tally.wrong_timing_with_rate.append(f"{case.path.name}: {case.kind}, {case.what}")
    return "wrong"


def same_samples(reader: SignalReader, truth: Valid) -> bool:
    """Whether all stretches that are long enough to be taken in hold exactly the samples of the truth."""
    header, n_samples = reader.header, truth.signal_uv.shape[1]
    return all(
        stop <= n_samples
        and np.array_equal(reader.read_uv(start, stop, range(len(header.labels))), truth.signal_uv[:, start:stop])
        for start, stop, _ in header.segments
        if (stop - start) / header.rate_hz >= SIGNAL.min_duration_s
    )


def same_times(annotations: Sequence[Annotation], notes: Sequence[tuple[float, str]], rate_hz: float) -> bool:
    """Whether all events are there, within a hundredth of a sample."""
    if [note.text for note in annotations] != [text for _, text in notes]:
        return False
    errors = [abs(note.onset_s - onset_s) for note, (onset_s, _) in zip(annotations, notes, strict=True)]
    return max(errors, default=0.0) * rate_hz <= 0.01


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> Tally:
    tally = Tally()
    for first in range(0, N_MUTATIONS, BATCH):
        run_batch(tmp_path_factory.mktemp("fuzz") / "batch", range(first, first + BATCH), tally)
    return tally


def test_nothing_crashes_hangs_or_leaves_the_user_alone(tally):
    assert set(tally.outcomes) <= {"right", "right, shorter", "flagged", "rejected", "wrong"}
    assert tally.outcomes.total() == N_MUTATIONS


def test_next_to_nothing_is_silently_wrong(tally):
    assert len(tally.wrong) <= 0.001 * max(N_MUTATIONS, 1000), tally.wrong


def test_nothing_is_wrong_where_a_checksum_or_rate_and_length_are_known(tally):
    assert tally.wrong_with_checksum == []
    assert tally.wrong_timing_with_rate == []


def test_sound_signals_get_in(tally):
    assert tally.n_intact > 0.04 * N_MUTATIONS
    assert len(tally.intact_rejected) <= 0.02 * tally.n_intact, tally.intact_rejected


def test_the_mix_is_the_agreed_one(tally):
    counts = Counter(dict.fromkeys(WEIGHTS, 0))
    for (kind, _, _), n in tally.by_what.items():
        counts[kind] += n
    for kind, weight in WEIGHTS.items():
        expected = N_MUTATIONS * weight / sum(WEIGHTS.values())
        assert abs(counts[kind] - expected) < 4 * np.sqrt(expected), kind


def test_the_samples_of_another_recording_of_the_same_size_are_found_by_their_checksum(tmp_path):
    """Nothing inside the two files tells; a published checksum does."""
    path = tmp_path / "sub-1" / "eeg" / "sub-1_task-rest_eeg.set"
    path.parent.mkdir(parents=True)
    truth = replace(valid_recording(np.random.default_rng(0)), has_fdt=True)
    truth.write(path)
    fdt = path.with_suffix(".fdt")
    (tmp_path / "SHA256SUMS.txt").write_text(
        f"{hashlib.sha256(fdt.read_bytes()).hexdigest()}  {fdt.relative_to(tmp_path)}\n"
    )
    n_channels, n_samples = truth.signal_uv.shape
    write_fdt(fdt, eeg_uv(n_channels, n_samples, truth.rate_hz, seed=99))
    (task,) = tasks(tmp_path, tmp_path)
    rejected = convert(task)
    assert isinstance(rejected, RejectedEntry)
    assert rejected.code == "checksum_mismatch"
    (tmp_path / "SHA256SUMS.txt").unlink()
    (task,) = tasks(tmp_path, tmp_path)
    assert isinstance(convert(task), Converted)


def test_undamaged_recordings_get_in_unchanged(tmp_path):
    """The judge itself: it must find valid recordings right, and a changed sample wrong."""
    tally = Tally()
    for seed in range(10_000, 10_010):
        truth = valid_recording(np.random.default_rng(seed))
        path = tmp_path / f"sub-{seed}" / "eeg" / f"sub-{seed}_task-rest_eeg.set"
        path.parent.mkdir(parents=True)
        truth.write(path)
        case = Case("none", "none", path, truth, {}, is_intact=True)
        (task,) = [t for t in tasks(tmp_path, tmp_path) if t.row["path"].endswith(path.name)]
        assert outcome_of(case, task, tally) == "right"
        taken = max(truth.segments, key=lambda segment: segment.stop - segment.start)
        truth.signal_uv[0, taken.stop - 1] += 0.001
        assert outcome_of(case, task, tally) in {"wrong", "flagged"}
    assert len(tally.wrong) >= 8
