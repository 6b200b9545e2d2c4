"""From a file to stored integers: every channel, every microvolt and every second where it belongs."""

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from edf_files import write_edf
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.jobs.ingest.ingest import Ingested
from eegfm.nn.rereference import Rereference
from eegfm.signal.config import SignalParams
from eegfm.signal.open import open_reader
from eegfm.store.index import RejectedEntry
from eegfm.store.layout import SAMPLE_DTYPE
from eegfm.training.loading.gather import gather
from eegfm.training.loading.groups import window_groups
from eegfm.training.plans.plan import Draw
from eegfm.windows.config import FixedCut, WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from tone_corpus import CORPUS, TONE_HZ, check_tones, run_ingest, write_corpus, write_recording

LABELS = [f"EEG {name.upper()}-REF" for name in TONE_HZ]


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ingested]:
    folder = tmp_path_factory.mktemp("tones")
    root = write_corpus(folder / "raw")
    return root, run_ingest(root, folder / "signals")


def test_tones_stage_1_the_reader(tones: tuple[Path, Ingested]) -> None:
    root, _ = tones
    for path in sorted(root.glob("*.edf")):
        reader = open_reader(path)
        picks = [reader.header.labels.index(label) for label in LABELS]
        signal_uv = reader.read_uv(0, reader.header.n_samples, picks)
        check_tones(signal_uv, tuple(TONE_HZ), reader.header.rate_hz)


def test_tones_stage_2_the_store(tones: tuple[Path, Ingested]) -> None:
    _, done = tones
    assert len(done.recordings) == 3
    [montage] = done.store.montages.values()
    assert set(montage.channel_names) == set(TONE_HZ)
    assert montage.reference == "average"
    for recording_id in done.recordings["recording_id"]:
        signal_uv = done.store.recording(recording_id)
        assert signal_uv.shape == (1200, 12)
        check_tones(signal_uv[200:-200].T, montage.channel_names)
        # Each tone starts with the file: sample k lies at k / 100 s.
        wave = 50 * np.sin(2 * np.pi * TONE_HZ["O1"] * np.arange(200, 1000) / 100)
        trace = signal_uv[200:1000, montage.channel_names.index("O1")]
        np.testing.assert_allclose(trace, wave, atol=2.0)


def windows_of(done: Ingested) -> pd.DataFrame:
    params = WindowParams(cuts={"pretrain": FixedCut(length_s=4, stride_s=2)})
    windows = expand(cut_windows(done.recordings, done.events, params)[0])
    # The first and the last seconds carry the filter's edges.
    inside = (windows["start"] >= 200) & (windows["start"] <= 600)
    return windows[inside].assign(split="train")


def test_tones_stage_3_gathered_windows(tones: tuple[Path, Ingested]) -> None:
    _, done = tones
    windows = windows_of(done)
    assert windows.groupby("recording_id").size().tolist() == [3, 3, 3]
    [montage] = done.store.montages.values()
    rows, scale_rows = done.store.locate(montage.name, windows["recording_id"], windows["start"].to_numpy(), 400)
    samples = done.store.gather(montage.name, rows, 400)
    assert samples.dtype == np.int16
    signal_uv = samples * done.store.scales(montage.name)[scale_rows][:, None, :]
    for window in signal_uv:
        check_tones(window.T, montage.channel_names)
    for window, row in zip(signal_uv, windows.itertuples(), strict=True):
        whole_uv = done.store.recording(row.recording_id)
        np.testing.assert_allclose(window, whole_uv[row.start : row.start + 400], rtol=1e-6)


def test_tones_stage_4_the_batch(tones: tuple[Path, Ingested]) -> None:
    """The batch that an encoder sees: channels in the montage's order, at the montage's positions."""
    _, done = tones
    [group] = window_groups(windows_of(done), {"tones": done.store}, "train")["tones"]
    stored = gather(Draw(group, np.array([7, 0, 4])), done.store)
    batch = Rereference(done.store.montages, "as_recorded")(stored)
    montage = done.store.montages[batch["montage"]]
    assert batch["signal"].shape == (3, 12, 400)
    assert batch["signal"].dtype == torch.float32
    for window in batch["signal"].numpy():
        check_tones(window, montage.channel_names)
    positions_m = dict(zip(montage.channel_names, batch["channel_positions"][0].numpy(), strict=True))
    assert positions_m["Fp1"][0] < 0 < positions_m["Fp2"][0]
    assert positions_m["O1"][1] < 0 < positions_m["Fp1"][1]
    assert max(positions_m, key=lambda name: positions_m[name][2]) == "Cz"


def test_tones_stage_5_the_average_reference(tones: tuple[Path, Ingested]) -> None:
    """Of twelve tones in twelve channels, each keeps 11/12 of its own and gets -1/12 of every other."""
    _, done = tones
    [group] = window_groups(windows_of(done), {"tones": done.store}, "train")["tones"]
    stored = gather(Draw(group, np.array([1])), done.store)
    recorded = Rereference(done.store.montages, "as_recorded")(stored)["signal"][0].numpy().astype(np.float64)
    averaged = Rereference(done.store.montages, "average")(stored)["signal"][0].numpy()
    np.testing.assert_allclose(averaged, recorded - recorded.mean(axis=0), atol=1e-3)


def task(root: Path, name: str, corpus: EdfFolderCorpus = CORPUS, signal: SignalParams | None = None) -> Task:
    [row] = corpus.build("tones").index(root).query("path == @name").to_dict("records")
    (root / "spool").mkdir(exist_ok=True)
    return Task(root, row, "key", IngestParams(corpus=corpus), signal or SignalParams(), root / "spool")


def converted(root: Path, name: str, **options: object) -> tuple[Converted, NDArray[np.float64]]:
    """One recording with its (T, C) microvolts."""
    done = convert(task(root, name, **options))
    assert isinstance(done, Converted), done
    samples = np.fromfile(done.samples_path, dtype=SAMPLE_DTYPE).reshape(-1, done.montage.n_channels)
    return done, samples * done.scales_uv.astype(np.float64)


def test_facts_of_a_recording(tmp_path: Path) -> None:
    write_recording(tmp_path / "a_1.edf", duration_s=10, rate_hz=256)
    done, signal_uv = converted(tmp_path, "a_1.edf")
    facts = done.facts
    assert done.recording_id == "tones:a_1"
    assert (facts["rate_hz"], facts["original_rate_hz"]) == (100.0, 256.0)
    # Sample k lies at k / 100 s; the last sample of the file lies at 2559 / 256 s.
    assert facts["n_samples"] == len(signal_uv) == 1000
    assert (facts["segment_starts"], facts["segment_stops"]) == ([0], [1000])
    assert (facts["montage"], facts["n_channels"], facts["reference"]) == (done.montage.name, 12, "average")
    assert facts["n_clipped"] == 0
    assert facts["flags"] == []


def test_reference_of_the_corpus_overrules_the_labels(tmp_path: Path) -> None:
    write_recording(tmp_path / "a_1.edf", duration_s=5)
    corpus = CORPUS.model_copy(update={"reference": "linked_ears"})
    assert converted(tmp_path, "a_1.edf", corpus=corpus)[0].montage.reference == "linked_ears"


def write_gaps(path: Path, *more: tuple[float, float, bytes]) -> list[float]:
    """An EDF+D file at 200 Hz: 8 s, a gap, 2 s (too short), a gap, 10 s; a bump at each of the returned seconds.

    Seconds are those of the recording, gaps counted.
    """
    onsets_s = [*range(8), *range(20, 22), *range(50, 60)]
    bumps_s = [2.5, 6.0, 21.0, 52.25, 57.0]
    time_s = np.concatenate([onset + np.arange(200) / 200 for onset in onsets_s])
    trace = sum(200 * np.exp(-0.5 * ((time_s - bump) / 0.02) ** 2) for bump in bumps_s)
    notes = [(bump, 0.25, b"bump") for bump in bumps_s] + [(15.0, None, b"in the gap"), *more]
    rng = np.random.default_rng(0)
    # Loud enough that the bumps stay below full scale, which follows the median deviation.
    signals = [trace + 10 * rng.standard_normal(time_s.size) for _ in LABELS]
    write_edf(path, signals, LABELS, 200.0, reserved="EDF+D", onsets_s=onsets_s, notes=notes)
    return bumps_s


def test_events_land_on_their_sample_behind_gaps(tmp_path: Path) -> None:
    write_gaps(tmp_path / "a_1.edf")
    done, signal_uv = converted(tmp_path, "a_1.edf")
    # The stretch of two seconds is shorter than min_duration_s; segments lie back to back.
    assert done.facts["segment_starts"] == [0, 800]
    assert done.facts["segment_stops"] == [800, 1800]
    assert done.facts["segment_onsets_s"] == [0.0, 50.0]
    assert "short_segments:1" in done.facts["flags"]
    # One bump in the stretch that is too short, one note in the gap.
    assert "events_outside:2" in done.facts["flags"]
    onsets_s = [event["onset_s"] for event in done.events]
    np.testing.assert_allclose(onsets_s, [2.5, 6.0, 8 + 2.25, 8 + 7.0], atol=1e-6)
    assert {event["value"] for event in done.events} == {"bump"}
    assert {event["duration_s"] for event in done.events} == {0.25}
    for onset_s in onsets_s:
        near = signal_uv[round(onset_s * 100) - 50 : round(onset_s * 100) + 51]
        assert near.mean(axis=1).argmax() == 50, "the bump peaks at the event's sample"
        assert (near[50] > 100).all()


def test_an_event_that_lasts_out_of_a_gap_starts_behind_it(tmp_path: Path) -> None:
    write_gaps(tmp_path / "a_1.edf", (30.0, 22.5, b"late"), (18.0, 5.0, b"over the short one"), (9.0, 0.5, b"within"))
    done, _ = converted(tmp_path, "a_1.edf")
    late = [event for event in done.events if event["value"] == "late"]
    assert [(event["onset_s"], event["duration_s"]) for event in late] == [(8.0, 2.5)]
    assert {event["value"] for event in done.events} == {"bump", "late"}
    assert {"events_outside:4", "events_late:1"} <= set(done.facts["flags"])


def test_windows_never_cross_the_gap(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_gaps(tmp_path / "raw" / "a_1.edf")
    done = run_ingest(tmp_path / "raw", tmp_path / "signals")
    params = WindowParams(cuts={"pretrain": FixedCut(length_s=3, stride_s=3)})
    windows = expand(cut_windows(done.recordings, done.events, params)[0])
    assert windows["start"].tolist() == [0, 300, 800, 1100, 1400]
    assert windows["segment"].tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("too_short", r"signal\.min_duration_s=4"),
        ("too_few_channels", r"signal\.min_channels=8"),
        ("no_eeg", "layout"),
        ("unreadable", "readable"),
        ("rate_too_low", "high_hz"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_a_remedy(tmp_path: Path, code: str, remedy: str) -> None:
    path = tmp_path / "a_1.edf"
    noise = np.random.default_rng(0).standard_normal((12, 2000)) * 20
    if code == "unreadable":
        path.symlink_to(tmp_path / "not fetched")
    elif code == "too_short":
        write_recording(path, duration_s=3)
    elif code == "rate_too_low":
        write_edf(path, list(noise), LABELS, 80.0)
    else:
        labels = ["EMG1", "EMG2"] if code == "no_eeg" else LABELS[:5]
        write_edf(path, list(noise[: len(labels)]), labels, 200.0)
    done = convert(task(tmp_path, "a_1.edf"))
    assert isinstance(done, RejectedEntry)
    assert (done.code, done.path, done.recording_id, done.stage) == (code, "a_1.edf", "tones:a_1", "read")
    assert pd.Series([done.remedy]).str.contains(remedy).all(), done.remedy


def reference_by_mne(path: Path, channel: str, rate_hz: float) -> NDArray[np.float64]:
    """(T,) microvolts: MNE's filter on the whole recording, then an exact change of rate by scipy."""
    raw = mne.io.read_raw_edf(path, include=[channel], preload=True, verbose="error")
    raw.filter(0.5, 45.0, l_trans_bandwidth=0.5, h_trans_bandwidth=5.0, verbose="error")
    trace = raw.get_data()[0] * 1e6
    if rate_hz == 500.0:
        return trace[::5]  # nothing is left above 50 Hz: every fifth sample is the exact answer
    assert rate_hz == 160.0
    # At 800 Hz the signal ends at 50 Hz and its first image starts at 110 Hz.
    return resample_poly(trace, 5, 8, window=firwin(1201, 80.0, fs=800.0, window=("kaiser", 12.0)))


@pytest.mark.parametrize(
    ("folder", "pattern", "path", "rate_hz", "channels"),
    [
        (
            "eegmmidb",
            "S{subject}/S{subject}R{run}.edf",
            "S001/S001R02.edf",
            160.0,
            {"Oz..": "Oz", "Fc5.": "FC5"},
        ),
        ("eegmat", "Subject{subject}_{run}.edf", "Subject04_2.edf", 500.0, {"EEG O1": "O1", "EEG T3": "T7"}),
    ],
)
def test_real_recordings_equal_mne(
    shared_data: Path,
    tmp_path: Path,
    folder: str,
    pattern: str,
    path: str,
    rate_hz: float,
    channels: dict[str, str],
) -> None:
    root = shared_data / folder
    if not root.is_dir():
        pytest.skip(f"real recordings are not here: {root} does not exist")
    params = IngestParams(corpus=EdfFolderCorpus(pattern=pattern), workers=WorkerParams(n_workers=1))
    raw_files = params.corpus.build(folder).index(root).query("path == @path")
    [row] = raw_files.to_dict("records")
    done = convert(Task(root, row, "key", params, SignalParams(), tmp_path))
    assert isinstance(done, Converted)
    samples = np.fromfile(done.samples_path, dtype=SAMPLE_DTYPE).reshape(-1, done.montage.n_channels)
    for raw_name, name in channels.items():
        column = done.montage.channel_names.index(name)
        wanted = reference_by_mne(root / path, raw_name, rate_hz)
        found = samples[:, column] * float(done.scales_uv[column])
        assert abs(len(found) - len(wanted)) <= 1
        inside = slice(1000, min(len(found), len(wanted)) - 1000)
        error = found[inside] - wanted[inside]
        snr_db = 10 * np.log10(np.square(wanted[inside]).mean() / np.square(error).mean())
        assert snr_db > 60, (name, snr_db)
        assert 2 < wanted[inside].std() < 200, "microvolts"


def test_parameters_reach_the_filter(tmp_path: Path) -> None:
    write_recording(tmp_path / "a_1.edf", duration_s=10)
    done, signal_uv = converted(tmp_path, "a_1.edf", signal=SignalParams(rate_hz=50, high_hz=20))
    powers = dict(zip(done.montage.channel_names, signal_uv[100:-100].std(axis=0), strict=True))
    assert done.facts["n_samples"] == 500
    assert powers["Fp1"] > 30
    assert powers["O1"] < 1
