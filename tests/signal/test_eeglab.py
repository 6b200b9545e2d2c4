import shutil
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import savemat

from eegfm.errors import RecordingError
from eegfm.signal.eeglab import EeglabReader
from eegfm.signal.reader import open_reader

LABELS = ("E1", "E2", "Cz")


def write_set(path: Path, data: object, n_samples: int, boundaries: tuple[float, ...] = (), **fields) -> None:
    """A continuous .set with its fields at top level, as current EEGLAB versions save it."""
    chanlocs = np.array([(label, "EEG") for label in LABELS], dtype=[("labels", object), ("type", object)])
    events = [("boundary", latency, 1.0) for latency in boundaries] + [("stim", 11.0, 0.0)]
    content = {
        "data": data,
        "nbchan": len(LABELS),
        "pnts": n_samples,
        "trials": 1,
        "srate": 100.0,
        "xmin": 0.0,
        "xmax": (n_samples - 1) / 100.0,
        "chanlocs": chanlocs,
        "chaninfo": {"nosedir": "+X"},
        "event": np.array(events, dtype=[("type", object), ("latency", object), ("duration", object)]),
    }
    savemat(path, content | fields, appendmat=False)


@pytest.fixture
def signal_uv():
    return np.random.default_rng(0).normal(0, 30, (3, 500)).astype(np.float32)


@pytest.fixture
def sample(shared_data):
    return shared_data / "eeglab_sample" / "eegprep" / "sample_data" / "eeglab_data.set"


def code_of(path):
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert path.stem in str(caught.value)
    return caught.value.code


def test_the_real_sample_equals_mne_and_its_fdt(sample):
    reader = open_reader(sample)
    assert isinstance(reader, EeglabReader)
    header = reader.header
    assert (header.rate_hz, header.n_samples, len(header.labels)) == (128.0, 30504, 32)
    stored = np.fromfile(sample.with_suffix(".fdt"), "<f4").reshape(-1, 32).T
    np.testing.assert_allclose(reader.read_uv(1000, 3000, [31, 5]), stored[[31, 5], 1000:3000], rtol=1e-6)
    raw = mne.io.read_raw_eeglab(sample, verbose="error")
    assert [a.onset_s for a in header.annotations] == sorted(raw.annotations.onset)


def test_embedded_samples_are_read_in_microvolts(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, signal_uv, 500)
    reader = open_reader(path)
    assert reader.header.labels == LABELS
    np.testing.assert_allclose(reader.read_uv(100, 200, [2, 0]), signal_uv[[2, 0], 100:200], rtol=1e-6)
    assert reader.read_uv(5, 5, [0]).shape == (1, 0)


def test_boundaries_split_segments(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    # EEGLAB counts from 1: a boundary at 200.5 lies between the 200th and the 201st sample.
    write_set(path, signal_uv, 500, boundaries=(200.5,))
    header = open_reader(path).header
    assert header.segments == ((0, 200, 0.0), (200, 500, 2.0))
    assert ("stim", 0.1) in [(a.text, a.onset_s) for a in header.annotations]


def test_a_cut_fdt_is_rejected(tmp_path, sample):
    path = shutil.copy(sample, tmp_path / sample.name)
    stored = sample.with_suffix(".fdt").read_bytes()
    (tmp_path / "eeglab_data.fdt").write_bytes(stored[:-4])
    assert code_of(path) == "fdt_size"
    (tmp_path / "eeglab_data.fdt").write_bytes(stored + bytes(4))
    assert code_of(path) == "fdt_size"
    (tmp_path / "eeglab_data.fdt").unlink()
    assert code_of(path) == "eeglab_unreadable"


@pytest.mark.parametrize("absolute", [True, False])
def test_samples_outside_the_folder_are_never_opened(tmp_path, signal_uv, absolute):
    outside = tmp_path / "secret.fdt"
    signal_uv.T.astype("<f4").tofile(outside)
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_set(folder / "x.set", str(outside) if absolute else "../secret.fdt", 500)
    assert code_of(folder / "x.set") == "data_outside_folder"


def test_a_link_out_of_the_folder_is_never_opened(tmp_path, signal_uv):
    outside = tmp_path / "secret.fdt"
    signal_uv.T.astype("<f4").tofile(outside)
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "x.fdt").symlink_to(outside)
    write_set(folder / "x.set", "x.fdt", 500)
    assert code_of(folder / "x.set") == "data_outside_folder"


def test_a_shape_that_contradicts_the_fields_is_rejected(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, signal_uv, 250)
    assert code_of(path) == "data_shape"


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:200], lambda b: b[:128] + bytes(500)])
def test_damaged_containers_are_rejected(tmp_path, signal_uv, damage):
    path = tmp_path / "x.set"
    write_set(path, signal_uv, 500)
    path.write_bytes(damage(path.read_bytes()))
    assert code_of(path) == "eeglab_unreadable"


def test_epochs_are_rejected(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, signal_uv, 250, trials=2)
    assert code_of(path) == "eeglab_unreadable"
