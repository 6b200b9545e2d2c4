"""Stretches that annotations call bad hold no window, whoever says so, and reach nothing beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pybv
import pytest
from numpy.typing import NDArray

from bids_tree import write_tree
from edf_files import write_edf
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus, HbnCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.ingest import Ingested, ingest
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.windows.config import FixedCut, WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from set_files import TEN_TWENTY, eeg_uv, fields, write_set

LABELS = TEN_TWENTY[:10]
RATE_HZ = 250.0
DURATION_S = 40
STEM = "sub-01/eeg/sub-01_task-x"
Note = tuple[float, float | None, str]


def signal_uv(junk_s: tuple[float, float] | None = (10, 16), seed: int = 1) -> NDArray[np.float32]:
    """(C, T) EEG, with 400 µV of noise over a stretch."""
    clean = eeg_uv(len(LABELS), round(DURATION_S * RATE_HZ), RATE_HZ, seed)
    if junk_s:
        a, b = (round(t * RATE_HZ) for t in junk_s)
        clean[:, a:b] = 400 * np.random.default_rng(0).standard_normal((len(LABELS), b - a))
    return clean


def write_noted(root: Path, where: str, notes: Sequence[Note], signal: NDArray[np.float32] | None = None) -> str:
    """One recording whose notes stand where the name says; its path."""
    uv = signal_uv() if signal is None else signal
    suffix = {"vmrk": ".vhdr", "set": ".set"}.get(where, ".edf")
    path = root / f"{STEM}_eeg{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if where == "set":
        events = [(text, on * RATE_HZ + 1, np.nan if d is None else d * RATE_HZ) for on, d, text in notes]
        write_set(path, fields(LABELS, uv.shape[1], RATE_HZ, events), uv, container="v5")
    elif where == "vmrk":
        events = [
            {
                "onset": round(on * RATE_HZ),
                "duration": round((d or 0) * RATE_HZ),
                "description": text,
                "type": "Comment",
            }
            for on, d, text in notes
        ]
        pybv.write_brainvision(
            data=uv * 1e-6, sfreq=RATE_HZ, ch_names=list(LABELS), fname_base=path.stem, folder_out=path.parent,
            events=events, unit="µV", fmt="binary_float32",
        )  # fmt: skip
    else:
        own = [(on, d, text.encode()) for on, d, text in notes] if where == "edf" else []
        write_edf(path, list(uv), LABELS, RATE_HZ, full_scale_uv=2500, notes=own)
    if where in ("trial_type", "value"):
        rows = [(on, "n/a" if d is None else d, text) for on, d, text in notes]
        write_tree(root, {f"{STEM}_events.tsv": [("onset", "duration", where), *rows]})
    return path.relative_to(root).as_posix()


def run(root: Path, corpus: CorpusConfig | None = None, **reading: Any) -> Ingested:
    params = IngestParams(
        corpus=corpus or BidsCorpus(), workers=WorkerParams(n_workers=1), reading=ReadParams(**reading)
    )
    raw_files = params.corpus.build("mine").index(root)
    return ingest(raw_files, root, params, SignalParams(), root.parent / "signals", simulated=False)


def window_starts(done: Ingested, length_s: float = 2.0) -> list[float]:
    """Starts of all windows in recording time."""
    params = WindowParams(cuts={"p": FixedCut(length_s=length_s, stride_s=length_s)})
    windows = expand(cut_windows(done.recordings, done.events, params)[0])
    [row] = done.recordings.to_dict("records")
    segments = list(zip(row["segment_starts"], row["segment_stops"], row["segment_onsets_s"], strict=True))
    return [
        next(onset + (at - a) / 100 for a, b, onset in segments if a <= at and at + length_s * 100 <= b)
        for at in windows["start"]
    ]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        *((where, "BAD_movement") for where in ("edf", "trial_type", "value", "set", "vmrk")),
        *(("edf", text) for text in ("bad", "BAD_ACQ_SKIP", "Bad Interval")),
    ],
)
def test_no_window_lies_in_a_bad_stretch(tmp_path: Path, where: str, text: str) -> None:
    notes = [(10.0, 6.0, text), (12.0, 0.5, "inside"), (20.0, 2.0, "go")]
    write_noted(tmp_path / "raw", where, notes)
    done = run(tmp_path / "raw")
    starts = window_starts(done)
    assert not [t for t in starts if t + 2 > 10 and t < 16]
    assert len(starts) == 5 + 12
    [row] = done.recordings.to_dict("records")
    assert {"bad_stretches:1", "bad_s:6", "events_in_bad:1"} <= set(row["flags"])
    # What is annotated stays where it was, and so does the time of the stored samples.
    assert row["n_samples"] == DURATION_S * 100
    assert (row["segment_starts"], row["segment_stops"]) == ([0, 1600], [1000, 4000])
    events = done.events.assign(value=done.events["value"].str.removeprefix("Comment/"))
    assert list(zip(events["onset_s"], events["duration_s"], events["value"], strict=True)) == notes
    [file] = done.file_outcomes.to_dict("records")
    assert file["outcome"] == "flagged"


def test_a_bad_stretch_reaches_nothing_beside_it(tmp_path: Path) -> None:
    """The stored signal beside it is that of a file which holds nothing else; the same with any junk in it."""
    uv = signal_uv(None)
    spoilt = uv.copy()
    spoilt[:, 2500:4000] = 1e4 * np.sign(np.random.default_rng(2).standard_normal((len(LABELS), 1500)))
    spoilt[:, 3000:3100] = np.nan
    stored = []
    for name, signal in {"all": spoilt, "before": uv[:, :2500], "after": uv[:, 4000:]}.items():
        root = tmp_path / name / "raw"
        write_noted(root, "set", [(10.0, 6.0, "BAD_jump")] if name == "all" else [], signal)
        done = run(root)
        [recording_id] = done.recordings["recording_id"]
        stored.append(done.store.recording(recording_id))
        if name == "all":
            assert done.recordings["flags"].tolist() == [["bad_s:6", "bad_stretches:1"]]
            assert done.recordings["bad_ratio"].tolist() == done.recordings["n_clipped"].tolist() == [0]
    whole, before, after = stored
    np.testing.assert_allclose(whole[:1000], before, atol=0.02)
    np.testing.assert_allclose(whole[1600:], after, atol=0.02)


def test_a_copy_with_the_note_keeps_its_hashes(tmp_path: Path) -> None:
    hashes = []
    for name, notes in {"plain": [], "noted": [(10.0, 6.0, "BAD_jump"), (21.03, 1.0, "bad")]}.items():
        write_noted(tmp_path / name / "raw", "set", notes)
        hashes += run(tmp_path / name / "raw").recordings["signal_hashes"].tolist()
    assert hashes[0] == hashes[1]
    assert all(hashes[0])


@pytest.mark.parametrize(
    ("notes", "segments_s", "flags"),
    [
        # Overlapping and nested ones are one; what begins before the start or ends behind the end is cut there.
        ([(8.0, 4.0, "BAD"), (10.0, 6.0, "bad"), (11.0, 1.0, "Bad c")], [(0, 8), (16, 40)], "bad_stretches:1 bad_s:8"),
        ([(-2.0, 6.0, "BAD_a"), (35.0, 60.0, "BAD_b")], [(4, 35)], "bad_stretches:2 bad_s:9 events_late:1"),
        ([(50.0, 6.0, "BAD_a")], [(0, 40)], "events_outside:1"),
        # Without a duration nobody knows where it ends: no window goes across.
        ([(10.0, 0.0, "BAD"), (20.0, None, "EDGE boundary")], [(0, 10), (10, 20), (20, 40)], "bad_without_duration:2"),
        # What is left between two of them may be too short for anything.
        ([(10.0, 1.0, "BAD"), (13.0, 1.0, "BAD")], [(0, 10), (14, 40)], "bad_stretches:2 bad_s:2 short_segments:1"),
        # Neighbours.
        ([(10.0, 1.0, "BAD_a"), (11.0, 1.0, "BAD_b")], [(0, 10), (12, 40)], "bad_stretches:1 bad_s:2"),
        ([(10.0, 6.0, "too bad"), (12.0, 2.0, "Comment/good")], [(0, 40)], ""),
        ([(10.0, 6.0, "Comment/BAD_a")], [(0, 10), (16, 40)], "bad_stretches:1 bad_s:6"),
        # A note about one channel is no reason to lose the others.
        ([(10.0, 6.0, "BAD_a@@Fp1")], [(0, 40)], "bad_on_channels:1"),
    ],
)  # fmt: skip
def test_odd_annotations(
    tmp_path: Path, notes: Sequence[Note], segments_s: Sequence[tuple[int, int]], flags: str
) -> None:
    write_noted(tmp_path / "raw", "trial_type", notes)
    [row] = run(tmp_path / "raw").recordings.to_dict("records")
    onsets_s = [(a / 100, b / 100) for a, b in zip(row["segment_starts"], row["segment_stops"], strict=True)]
    assert onsets_s == list(segments_s)
    np.testing.assert_allclose(row["segment_onsets_s"], [a for a, _ in segments_s], atol=1e-9)
    assert set(row["flags"]) == set(flags.split())


def test_as_much_is_left_as_mne_leaves(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    texts = ("BAD_a", "bad b", "Bad", "good", "BAD_ACQ_SKIP", "baddish")
    onsets_s, lengths_s = rng.integers(0, 38, 6), rng.integers(1, 200, 6) * 0.02  # whole samples at both rates
    notes = [(float(on), float(d), text) for on, d, text in zip(onsets_s, lengths_s, texts, strict=True)]
    path = tmp_path / "raw" / write_noted(tmp_path / "raw", "edf", notes)
    raw = mne.io.read_raw_edf(path, verbose="error")
    n_left = raw.get_data(reject_by_annotation="omit", verbose="error").shape[1]
    params = IngestParams(corpus=BidsCorpus(), workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build("mine").index(tmp_path / "raw")
    every = SignalParams(min_duration_s=0.01)
    done = ingest(raw_files, tmp_path / "raw", params, every, tmp_path / "signals", simulated=False)
    [row] = done.recordings.to_dict("records")
    stored = sum(b - a for a, b in zip(row["segment_starts"], row["segment_stops"], strict=True))
    assert 0 < n_left < raw.n_times
    assert stored / 100 == pytest.approx(n_left / RATE_HZ, abs=0.02)


def test_a_column_of_channels_restricts_an_annotation(tmp_path: Path) -> None:
    write_noted(tmp_path / "raw", "edf", [])
    table = [("onset", "duration", "trial_type", "channel"), (10, 6, "BAD_a", "Fp1"), (20, 2, "BAD_b", "n/a")]
    write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": table})
    [row] = run(tmp_path / "raw").recordings.to_dict("records")
    assert row["flags"] == ["bad_on_channels:1", "bad_s:2", "bad_stretches:1"]


def test_both_columns_of_a_table_and_the_files_own_notes_count(tmp_path: Path) -> None:
    write_noted(tmp_path / "raw", "edf", [(30.0, 2.0, "BAD_c"), (5.0, 1.0, "BAD_a")])
    table = [("onset", "duration", "trial_type", "value"), (5, 1, "mark", "BAD_a"), (15, 2, "BAD_b", 7)]
    write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": table})
    done = run(tmp_path / "raw")
    [row] = done.recordings.to_dict("records")
    assert done.events["onset_s"].tolist() == [5.0, 5.0, 15.0, 30.0]
    assert row["segment_starts"] == [0, 600, 1700, 3200]
    assert row["segment_stops"] == [500, 1500, 3000, 4000]


@pytest.mark.parametrize("column", ["event_type", "description"])
def test_a_table_without_values_is_flagged_and_read_for_bad_stretches(tmp_path: Path, column: str) -> None:
    write_noted(tmp_path / "raw", "edf", [])
    table = [("onset", "duration", column), (3, 0, "go"), (10, 6, "BAD_movement"), (20, 0, "go")]
    write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": table})
    done = run(tmp_path / "raw")
    [row] = done.recordings.to_dict("records")
    assert row["flags"] == ["bad_s:6", "bad_stretches:1", "events_without_value:3"]
    assert list(zip(row["segment_starts"], row["segment_stops"], strict=True)) == [(0, 1000), (1600, 4000)]
    assert done.events[column].tolist() == ["go", "BAD_movement", "go"]


def test_a_recording_that_is_all_bad_is_rejected(tmp_path: Path) -> None:
    write_noted(tmp_path / "raw", "edf", [(0.0, 100.0, "BAD_all")])
    done = run(tmp_path / "raw")
    assert done.rejected["code"].tolist() == ["annotated_bad"]
    assert "40.00 s" in done.rejected["reason"].item()
    assert "bad_annotations" in done.rejected["remedy"].item()


def test_which_annotations_count_is_configuration(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    write_noted(root, "edf", [(10.0, 6.0, "BAD_a"), (20.0, 2.0, "artefact, EMG")])
    assert run(root).recordings["segment_starts"].tolist() == [[0, 1600]]
    assert run(root, bad_annotations=()).recordings["segment_starts"].tolist() == [[0]], "the store is made anew"
    assert run(root, bad_annotations=("Artefact*",)).recordings["segment_starts"].tolist() == [[0, 2200]]
    with pytest.raises(ValueError, match="at least 1 character"):
        ReadParams(bad_annotations=(" ",))


def test_every_corpus_knows_bad_stretches(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    path = root / write_noted(root, "edf", [(10.0, 6.0, "BAD_a")])
    path.rename(root / "x.edf")
    assert run(root, EdfFolderCorpus()).recordings["segment_starts"].tolist() == [[0, 1600]]


def test_hbns_rows_of_other_tasks_may_be_bad(tmp_path: Path) -> None:
    """HBN keeps a task's own events only; a bad stretch is nobody's event and counts all the same."""
    root, labels = tmp_path / "raw", [f"E{k}" for k in range(1, 11)]
    stem = "sub-NDARAA000AAA/eeg/sub-NDARAA000AAA_task-RestingState"
    table = [("onset", "duration", "value"), (1, "n/a", "resting_start"), (10, 6, "BAD_a")]
    write_tree(root, {f"{stem}_events.tsv": table})
    write_edf(root / f"{stem}_eeg.edf", list(signal_uv()), labels, 100.0, full_scale_uv=2500)
    done = run(root, HbnCorpus())
    assert done.recordings["segment_starts"].tolist() == [[0, 1600]]
    assert done.events["value"].tolist() == ["resting_start", "BAD_a"]


@pytest.mark.parametrize("rate_hz", [200.0, 256.0, 128.02, 1000.0])
def test_time_runs_on_at_any_rate(tmp_path: Path, rate_hz: float) -> None:
    """Many cuts at odd times: a tone in the stored signal keeps its phase, and segments say when they start."""
    n = round(60 * rate_hz)
    wave = 50 * np.sin(2 * np.pi * 7 * np.arange(n) / rate_hz)
    noise = np.random.default_rng(0).standard_normal((len(LABELS), n))
    notes = [(5.0123 + 6.77 * k, 0.331, "BAD_a") for k in range(8)]
    path = tmp_path / "raw" / f"{STEM}_eeg.set"
    path.parent.mkdir(parents=True)
    events = [(text, on * rate_hz + 1, d * rate_hz) for on, d, text in notes]
    write_set(path, fields(LABELS, n, rate_hz, events), (wave + 0.1 * noise).astype(np.float32), container="v5")
    done = run(tmp_path / "raw")
    [row] = done.recordings.to_dict("records")
    stored = done.store.recording(row["recording_id"])[:, 0]
    if rate_hz != 128.02:
        assert abs(row["n_samples"] - 6000) <= 1
    assert len(row["segment_starts"]) == 9
    for a, b, onset_s in zip(row["segment_starts"], row["segment_stops"], row["segment_onsets_s"], strict=True):
        time_s = onset_s + np.arange(100, b - a - 100) / 100
        slow = [(time_s - time_s[0]) ** k for k in range(4)]  # where a stretch ends, the high-pass swings in
        phase = 2 * np.pi * 7 * time_s
        fit = np.linalg.lstsq(np.stack([np.sin(phase), np.cos(phase), *slow], axis=1), stored[a + 100 : b - 100])[0]
        np.testing.assert_allclose(fit[:2], [50, 0], atol=1.0, err_msg="one sample late gives 45 and 21")
    values = pd.Series(done.events["onset_s"])
    np.testing.assert_allclose(values, [on for on, _, _ in notes], atol=0.1)


@pytest.mark.parametrize(
    ("onset_s", "duration_s", "n_rows"), [(30.004, 2, 1), (30.008, 2, 2), (30, "n/a", 2), (29.996, 4, 1)]
)
def test_a_note_that_is_an_event_too_counts_once(
    tmp_path: Path, onset_s: float, duration_s: float | str, n_rows: int
) -> None:
    """Onsets may differ by a sample; a note that lasts longer than the event says more."""
    write_noted(tmp_path / "raw", "edf", [(30.0, 2.0, "BAD_c")])
    table = [("onset", "duration", "trial_type"), (onset_s, duration_s, "BAD_c")]
    write_tree(tmp_path / "raw", {f"{STEM}_events.tsv": table})
    done = run(tmp_path / "raw")
    assert len(done.events) == n_rows
    [row] = done.recordings.to_dict("records")
    segments = zip(row["segment_starts"], row["segment_stops"], strict=True)
    assert not any(start < 3200 and stop > 3002 for start, stop in segments)
