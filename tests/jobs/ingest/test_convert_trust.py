"""Facts that are known of a file beforehand are checked. Dead parts of its signal never reach a window."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eegfm.jobs.ingest.convert as convert_module
from edf_files import write_edf
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.signal.expected import Expected, check_expected
from eegfm.signal.header import RecordingHeader, Segment
from eegfm.signal.open import open_reader
from eegfm.signal.processing.fingerprint import ChannelHashes
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import SAMPLE_DTYPE
from tone_corpus import CORPUS, PARAMS, TONE_HZ, write_recording

LABELS = [f"EEG {name.upper()}-REF" for name in TONE_HZ]
RATE_HZ = 200


def task(root: Path, params: IngestParams = PARAMS, signal: Mapping[str, Any] = {}) -> Task:
    [row] = CORPUS.build("tones").index(root).to_dict("records")
    spool = root.parent / "spool"
    spool.mkdir(exist_ok=True)
    return Task(root, row, "key", params, SignalParams(**signal), spool)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    write_recording(tmp_path / "raw" / "a_1.edf")
    return tmp_path / "raw"


def rejection(task: Task) -> RejectedEntry:
    done = convert(task)
    assert isinstance(done, RejectedEntry), done.facts
    return done


def write_noise(root: Path, duration_s: int = 60, dead_s: tuple[float, float] | None = None, n_dead: int = 12) -> None:
    signals = 30 * np.random.default_rng(3).standard_normal((12, duration_s * RATE_HZ))
    # Slow enough for an EEG: neighbouring samples are alike.
    signals = np.apply_along_axis(lambda x: np.convolve(x, np.hanning(9) / 2, mode="same"), 1, signals)
    if dead_s:
        signals[:n_dead, round(dead_s[0] * RATE_HZ) : round(dead_s[1] * RATE_HZ)] = 0
    (root / "a_1.edf").unlink(missing_ok=True)
    write_edf(root / "a_1.edf", list(signals), LABELS, float(RATE_HZ))


@pytest.mark.parametrize(
    ("dead_s", "segments_s"),
    [
        ((30.0, 40.0), [(0, 30), (40, 60)]),
        ((45.0, 60.0), [(0, 45)]),
        ((0.0, 20.0), [(20, 60)]),
        ((6.0, 50.0), None),  # three quarters of the channel time
    ],
)
def test_no_sample_that_a_dead_one_contributed_to_is_in_a_segment(
    root: Path, dead_s: tuple[float, float], segments_s: list[tuple[float, float]] | None
) -> None:
    write_noise(root, dead_s=dead_s)
    if segments_s is None:
        assert rejection(task(root)).code == "bad_signal"
        return
    done = convert(task(root))
    assert isinstance(done, Converted)
    assert "dead_spans" in done.facts["flags"]
    assert done.facts["segment_onsets_s"] == [start / 100 for start in done.facts["segment_starts"]]
    assert done.facts["n_samples"] == 6000, "the time axis stays"
    found = list(zip(done.facts["segment_starts"], done.facts["segment_stops"], strict=True))
    reach_s = 3.4  # half the length of the filter's kernel
    for (start, stop), (start_s, stop_s) in zip(found, segments_s, strict=True):
        assert start == pytest.approx(100 * (start_s + reach_s * (start_s > 0)), abs=30)
        assert stop == pytest.approx(100 * (stop_s - reach_s * (stop_s < 60)), abs=30)
    samples = np.fromfile(done.samples_path, dtype=SAMPLE_DTYPE).reshape(-1, 12) * done.scales_uv
    write_noise(root)
    whole = convert(task(root))
    assert isinstance(whole, Converted)
    intact = np.fromfile(whole.samples_path, dtype=SAMPLE_DTYPE).reshape(-1, 12) * whole.scales_uv
    for start, stop in found:
        np.testing.assert_allclose(samples[start:stop], intact[start:stop], atol=0.1)


def test_a_few_dead_channels_are_flagged_and_split_nothing(root: Path) -> None:
    write_noise(root, dead_s=(20, 30), n_dead=2)
    done = convert(task(root))
    assert isinstance(done, Converted)
    assert done.facts["segment_stops"] == [6000]
    assert [flag.partition(":")[0] for flag in done.facts["flags"]] == ["still", "still"]
    assert done.facts["bad_ratio"] == pytest.approx(10 / 60 * 2 / 12, rel=0.05)


def test_how_much_may_be_bad_is_a_parameter(root: Path) -> None:
    write_noise(root, dead_s=(30, 40))
    assert rejection(task(root, signal={"max_bad_ratio": 0.1})).remedy.startswith("signal.max_bad_ratio=0.1")


def test_every_channel_carries_a_hash_of_its_decoded_signal(root: Path) -> None:
    write_noise(root)
    done = convert(task(root))
    assert isinstance(done, Converted)
    reader = open_reader(root / "a_1.edf")
    by_name = dict(zip(done.montage.channel_names, done.facts["signal_hashes"], strict=True))
    for index, name in enumerate(TONE_HZ):
        alone = ChannelHashes(1)
        alone.add(0, reader.read_uv(0, reader.header.n_samples, [index])[0])
        assert by_name[name] == alone.result()[0]
    assert len(set(by_name.values())) == 12


def test_flat_channels_have_no_hash_to_be_taken_for_one_another(root: Path) -> None:
    write_noise(root, dead_s=(0, 60), n_dead=3)
    done = convert(task(root))
    assert isinstance(done, Converted)
    assert done.facts["signal_hashes"].count("") == 3


def test_a_wrong_checksum_rejects_an_otherwise_good_file(root: Path) -> None:
    path = root / "a_1.edf"
    (root / "SHA256SUMS.txt").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()} a_1.edf\n")
    assert isinstance(convert(task(root)), Converted)
    data = bytearray(path.read_bytes())
    data[-5000] ^= 1
    path.write_bytes(data)
    assert rejection(task(root)).code == "checksum_mismatch"


def test_rates_that_a_corpus_may_have(root: Path) -> None:
    allowed = PARAMS.model_copy(update={"rates_hz": (200.0, 250.0)})
    assert isinstance(convert(task(root, allowed)), Converted)
    found = rejection(task(root, PARAMS.model_copy(update={"rates_hz": (200.0, 256.0)})))
    assert found.code == "rate_mismatch"
    assert found.reason == "a_1.edf: 250 Hz, ingest.rates_hz says 200, 256 Hz"


def test_who_salvages_a_file_knows_that_it_is_shorter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_noise(root)
    path = root / "a_1.edf"
    whole = path.read_bytes()
    monkeypatch.setattr(
        "eegfm.corpora.edf_folder.EdfFolder.expected", lambda self, path: Expected(duration_s=60.0, source="x.json")
    )
    assert isinstance(convert(task(root)), Converted)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    assert rejection(task(root)).code == "truncated"
    salvaging = PARAMS.model_copy(update={"reading": ReadParams(salvage_truncated=True)})
    done = convert(task(root, salvaging))
    assert isinstance(done, Converted)
    assert "truncated" in done.facts["flags"]
    write_noise(root, duration_s=50)
    assert rejection(task(root, salvaging)).code == "length_mismatch"


def test_a_file_that_changed_since_it_was_listed_is_not_read(root: Path) -> None:
    stale = task(root)
    os.utime(root / "a_1.edf", ns=(1, 1))
    assert rejection(stale).code == "changed_file"


def test_a_file_that_changes_while_it_is_read_is_not_stored(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, params: object) -> object:
        reader = open_reader(path)
        os.utime(path, ns=(1, 1))
        return reader

    monkeypatch.setattr(convert_module, "open_reader", opened)
    found = rejection(task(root))
    assert (found.code, found.reason.endswith("while it was read")) == ("changed_file", True)


def test_what_our_code_did_not_foresee_is_a_row_that_says_where(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, params: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(convert_module, "open_reader", opened)
    found = rejection(task(root))
    assert found.code == "internal_error"
    assert found.reason.startswith("a_1.edf: KeyError: 'odd' (in opened, test_convert_trust.py:")


def test_rejections_by_limits_carry_the_limits(root: Path) -> None:
    one = task(root)
    other = task(root, PARAMS.model_copy(update={"reading": ReadParams(timeout_s=1)}))
    assert one.rejected("too_large", "r", "m").key != other.rejected("too_large", "r", "m").key
    assert one.rejected("no_eeg", "r", "m").key == other.rejected("no_eeg", "r", "m").key == one.key


def test_a_file_that_needs_more_memory_than_there_is_becomes_a_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(path: Path, params: object) -> None:
        raise MemoryError

    monkeypatch.setattr(convert_module, "open_reader", opened)
    assert rejection(task(root)).code == "not_readable"


HEADER = RecordingHeader(("Fz", "Cz"), ("uV", "uV"), 500.0, (500.0, 500.0), 30_000, (Segment(0, 30_000, 0.0),))


@pytest.mark.parametrize(
    "expected",
    [
        Expected(),
        Expected(rates_hz=(100.0, 500.0), duration_s=60.0, n_channels=2),
        Expected(rates_hz=(500.01,), duration_s=60.9),
        Expected(n_channels=1),
    ],
)
def test_what_agrees_is_taken(expected: Expected) -> None:
    check_expected(HEADER, expected, "x.set")


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (Expected(rates_hz=(250.0,), source="x.json"), "x.set: 500 Hz, x.json says 250 Hz"),
        (Expected(duration_s=61.5, source="x.json"), "x.set: 60.000 s, x.json says 61.500 s"),
        (Expected(duration_s=58.5, source="x.json"), "x.set: 60.000 s, x.json says 58.500 s"),
        (Expected(n_channels=129, source="x.json"), "x.set: 2 channels, x.json says 129"),
    ],
)
def test_what_does_not_agree_is_rejected(expected: Expected, message: str) -> None:
    with pytest.raises(convert_module.RecordingError, match=message):
        check_expected(HEADER, expected, "x.set")
