"""The report describes a corpus as it is in the store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch

from damage import overwrite
from eegfm.errors import StoreError
from eegfm.jobs.ingest.describe import describe, montages_table, spectrum_table, unknown_channels_table
from eegfm.jobs.ingest.ingest import Ingested
from eegfm.store.reader import SignalStore
from tone_corpus import run_ingest, write_corpus


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    folder: Path = tmp_path_factory.mktemp("describe")
    return run_ingest(write_corpus(folder / "raw"), folder / "signals")


def test_montages_count_recordings_by_recorded_rate(done: Ingested) -> None:
    table = montages_table(done.recordings)
    assert table["original_rate_hz"].tolist() == [250.0, 256.0]
    assert table["recordings"].tolist() == [2, 1]
    assert table["persons"].tolist() == [2, 1]
    assert table["hours"].tolist() == [0.01, 0.0]
    assert set(table["reference"]) == {"average"}


def test_labels_that_are_no_electrode_are_counted(done: Ingested) -> None:
    recordings = done.recordings.copy()
    recordings["labels_not_understood"] = [["X1"], ["X1", "X2"], []]
    rows = unknown_channels_table(recordings).to_numpy().tolist()
    assert rows == [["X1", "not_understood", 2], ["X2", "not_understood", 1], ["EEG EKG1-REF", "left_out", 3]]


def test_spectrum_equals_scipys(done: Ingested) -> None:
    table = spectrum_table(done.store, done.recordings)
    assert table["n_recordings"].unique().tolist() == [3]
    pieces = []
    for recording_id in sorted(done.recordings["recording_id"]):
        signal_uv = done.store.recording(recording_id).astype(np.float64)
        _, density = welch(signal_uv, 100, np.hanning(400), 400, noverlap=0, detrend="constant", axis=0)
        pieces.append(density.T)
    expected = np.quantile(np.concatenate(pieces), 0.9, axis=0)
    # At both ends of the band scipy counts a bin once that stands for one frequency.
    np.testing.assert_allclose(table["p90"].to_numpy()[1:-1], expected[1:-1], rtol=1e-4)


def test_figure_names_montage_and_corpus(done: Ingested) -> None:
    found = describe(done.store, done.recordings, done.file_outcomes, "tones")
    [montage] = done.store.montages
    assert [t.name for t in found.spectrum.data if t.name] == [f"{montage} (3 recordings)"]
    assert found.spectrum.layout.title.text.startswith("tones: median")
    assert found.ingest_summary["files"].tolist() == [3, 0, 0, 0, 3]


def test_damaged_samples_are_not_described(done: Ingested, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done.store.folder, tmp_path / "signals"))
    overwrite(folder, "tones:a_2", 100, 1000)
    with pytest.raises(StoreError, match="in recording tones:a_2;"):
        describe(SignalStore(folder), done.recordings, done.file_outcomes, "tones")
