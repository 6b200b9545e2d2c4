import os
import shutil
from pathlib import Path

import mne
import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.eeglab.reader import EeglabReader
from eegfm.signal.open import open_reader
from set_files import eeg_uv, fields, write_fdt, write_set

LABELS = ("E1", "E2", "E3", "Cz")
RATE_HZ = 100.0
N = 1200


@pytest.fixture(scope="module")
def signal_uv():
    return eeg_uv(len(LABELS), N, RATE_HZ)


@pytest.fixture
def sample(shared_data):
    return shared_data / "eeglab_sample" / "eegprep" / "sample_data" / "eeglab_data.set"


def with_fdt(folder: Path, signal_uv: np.ndarray, name: str = "x.fdt", **changed) -> Path:
    folder.mkdir(exist_ok=True)
    write_fdt(folder / "x.fdt", signal_uv)
    write_set(folder / "x.set", fields(LABELS, signal_uv.shape[1], RATE_HZ) | changed, name)
    return folder / "x.set"


def embedded(folder: Path, signal_uv: np.ndarray, **changed) -> Path:
    write_set(folder / "x.set", fields(LABELS, N, RATE_HZ) | changed, signal_uv)
    return folder / "x.set"


def rejection(path: Path, params: ReadParams | None = None) -> RecordingError:
    with pytest.raises(RecordingError) as caught:
        open_reader(path, params)
    assert path.stem in str(caught.value)
    assert "MNE" not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_the_real_sample_equals_mne_bit_for_bit(sample):
    reader = open_reader(sample)
    assert isinstance(reader, EeglabReader)
    raw = mne.io.read_raw_eeglab(sample, verbose="error")
    header = reader.header
    assert (header.rate_hz, header.n_samples, header.flags) == (128.0, 30504, ())
    assert header.labels == tuple(raw.ch_names)
    microvolts = (raw.get_data() * 1e6).astype(np.float32)
    np.testing.assert_array_equal(reader.read_uv(0, 30504, range(32)), microvolts)
    np.testing.assert_array_equal(reader.read_uv(1000, 30001, [31, 5]), microvolts[[31, 5], 1000:30001])
    # MNE rounds onsets to microseconds.
    notes = sorted(zip(raw.annotations.onset, raw.annotations.description, strict=True))
    np.testing.assert_allclose([note.onset_s for note in header.annotations], [onset for onset, _ in notes], atol=1e-6)
    assert [note.text for note in header.annotations] == [text for _, text in notes]


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
@pytest.mark.parametrize("in_struct", [True, False])
def test_every_layout_is_read_alike(tmp_path, signal_uv, container, in_struct):
    content = fields(LABELS, N, RATE_HZ, [("stim", 11.0, 5.0), (7.0, 20.25, 0.0)])
    write_set(tmp_path / "x.set", content, signal_uv, container=container, in_struct=in_struct)
    reader = open_reader(tmp_path / "x.set")
    assert (reader.header.labels, reader.header.rate_hz, reader.header.flags) == (LABELS, RATE_HZ, ())
    assert [tuple(note) for note in reader.header.annotations] == [(0.1, 0.05, "stim"), (0.1925, 0.0, "7")]
    block = reader.read_uv(100, 777, [2, 0])
    np.testing.assert_array_equal(block, signal_uv[[2, 0], 100:777])
    assert block.dtype == np.float32
    assert block.flags.c_contiguous
    assert reader.read_uv(5, 5, [0]).shape == (1, 0)


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_other_types_of_embedded_samples_are_converted(tmp_path, signal_uv, dtype):
    stored = signal_uv.astype(dtype)
    np.testing.assert_array_equal(
        open_reader(embedded(tmp_path, stored)).read_uv(0, N, range(4)), stored.astype(np.float32)
    )


def test_blocks_of_an_fdt_join_without_a_seam(tmp_path):
    n_samples = 40_000
    signal_uv = eeg_uv(len(LABELS), n_samples, RATE_HZ)
    reader = open_reader(with_fdt(tmp_path, signal_uv))
    assert reader.header.flags == ()
    np.testing.assert_array_equal(reader.read_uv(3, n_samples - 1, [3, 1]), signal_uv[[3, 1], 3:-1])


def test_non_finite_values_are_passed_on_as_they_are(tmp_path, signal_uv):
    damaged = signal_uv.copy()
    damaged[1, 10:600] = np.nan
    damaged[2, 20:30] = np.inf
    np.testing.assert_array_equal(open_reader(with_fdt(tmp_path, damaged)).read_uv(0, N, range(4)), damaged)


def test_values_beyond_float32_become_infinite(tmp_path, signal_uv):
    path = embedded(tmp_path, np.where(np.arange(N) == 7, 1e300, signal_uv.astype(np.float64)))
    assert np.isinf(open_reader(path).read_uv(0, N, [0])).sum() == 1


@pytest.mark.parametrize("container", ["v7", "v7.3"])
def test_types_of_events_inside_cells(tmp_path, signal_uv, container):
    events = [
        (("stop",), 11.0, 0.0), ((3.0,), 21.0, 0.0), (((" go ",),), (31.0,), 0.0), (("a", ("b", 7.0)), 41.0, 0.0),
        ((), 51.0, 0.0), ("", 61.0, 0.0), ([], 71.0, 0.0), ((np.nan,), 81.0, 0.0), ("last", 91.0, 0.0),
    ]  # fmt: skip
    write_set(tmp_path / "x.set", fields(LABELS, N, RATE_HZ, events), signal_uv, container=container)
    header = open_reader(tmp_path / "x.set").header
    wanted = ["stop", "3", "go", "a/b/7", "", "", "", "", "last"]
    assert [(note.onset_s, note.text) for note in header.annotations] == [
        (pytest.approx(0.1 * k), text) for k, text in enumerate(wanted, 1)
    ]
    assert header.flags == ("events_with_several_types:1", "events_without_type:4")


def test_an_event_before_the_first_sample_is_kept_there(tmp_path, signal_uv):
    """Whoever counts from 0 calls the first sample 0."""
    write_set(tmp_path / "x.set", fields(LABELS, N, RATE_HZ, [("go", 0.0, 5.0), ("go", 1.0, 0.0)]), signal_uv)
    header = open_reader(tmp_path / "x.set").header
    assert [tuple(note) for note in header.annotations] == [(0.0, 0.05, "go"), (0.0, 0.0, "go")]
    assert header.flags == ("events_at_zero:1",)


@pytest.mark.parametrize("container", ["v7", "v7.3"])
def test_names_of_channels_inside_cells(tmp_path, signal_uv, container):
    content = fields(LABELS, N, RATE_HZ)
    content["chanlocs"] = [{**place, "labels": (place["labels"],)} for place in content["chanlocs"]]
    write_set(tmp_path / "x.set", content | {"srate": (RATE_HZ,)}, signal_uv, container=container)
    header = open_reader(tmp_path / "x.set").header
    assert (header.labels, header.rate_hz, header.flags) == (LABELS, RATE_HZ, ())


def test_boundaries_split_segments_in_file_time(tmp_path, signal_uv):
    # EEGLAB counts from 1: a boundary at 200.5 lies between the 200th and the 201st sample. That 300 samples were cut
    # out there moves nothing: later latencies do not count them either.
    events = [("boundary", 0.5, 50.0), ("boundary", 200.5, 300.0), ("boundary", 1200.5, np.nan), ("stim", 211.0, 0.0)]
    events.append(("Boundary duration", 600.5, np.nan))
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ, events), signal_uv)
    header = open_reader(path).header
    assert header.segments == ((0, 200, 0.0), (200, 600, 2.0), (600, N, 6.0))
    stim = next(note for note in header.annotations if note.text == "stim")
    assert header.position_of(stim.onset_s) == pytest.approx(210.0)
    assert [note.duration_s for note in header.annotations][:2] == [0.5, 3.0]


def test_numeric_boundaries_split_too(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ, [(-99.0, 50.5, np.nan), (3.0, 60.0, 0.0)]), signal_uv)
    assert [segment.start for segment in open_reader(path).header.segments] == [0, 50]


def test_events_without_a_place_are_left_out_with_a_flag(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ, [("lost", np.nan, 0.0), ("stim", 11.0, 0.0)]), signal_uv)
    header = open_reader(path).header
    assert [note.text for note in header.annotations] == ["stim"]
    assert header.flags == ("events_without_latency",)


@pytest.mark.parametrize(
    ("changed", "code", "named"),
    [
        ({"nbchan": 5.0}, "channel_list", "chanlocs"),
        ({"nbchan": 3.0}, "channel_list", "nbchan"),
        ({"nbchan": np.nan}, "eeglab_field", "nbchan"),
        ({"pnts": 600.0, "xmax": 5.99}, "data_shape", "(4, 600)"),
        ({"pnts": 600.0}, "rate_against_xmax", "xmax"),
        ({"pnts": 1200.5}, "eeglab_field", "pnts"),
        ({"pnts": np.nan}, "eeglab_field", "pnts"),
        ({"pnts": []}, "eeglab_field", "empty"),
        ({"pnts": "many"}, "eeglab_field", "pnts"),
        ({"srate": np.nan}, "sampling_rate", "srate"),
        ({"srate": 0.0}, "sampling_rate", "0 Hz"),
        ({"srate": -100.0}, "sampling_rate", "-100 Hz"),
        ({"srate": 1e9}, "sampling_rate", "1e+09"),
        ({"srate": []}, "sampling_rate", "empty"),
        ({"srate": 101.0}, "rate_against_xmax", "11.990"),
        ({"trials": 2.0}, "epochs", "epochs"),
        ({"trials": 0.0}, "eeglab_field", "trials"),
        ({"trials": np.nan}, "eeglab_field", "trials"),
        ({"chanlocs": []}, "channel_list", "0 channels"),
    ],
)
def test_fields_that_cannot_be_are_rejected(tmp_path, signal_uv, changed, code, named):
    error = rejection(embedded(tmp_path, signal_uv, **changed))
    assert error.code == code
    assert named in error.reason


def test_epochs_in_the_shape_of_the_data_are_rejected(tmp_path, signal_uv):
    assert rejection(embedded(tmp_path, signal_uv.reshape(4, 600, 2), trials=1.0)).code == "epochs"


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"xmin": 5.0}, ("xmin_not_zero",)),
        ({"xmin": 5.0, "xmax": 16.99}, ("xmin_not_zero",)),
        ({"xmin": np.nan}, ("xmin_not_zero",)),
        ({"xmin": []}, ()),
        ({"xmax": []}, ()),
        ({"xmax": np.nan}, ()),
        ({"xmax": 12.0}, ()),
        ({"trials": []}, ()),
        ({"chaninfo": {}}, ()),
        ({"chaninfo": []}, ()),
    ],
)
def test_faults_that_leave_signal_and_time_intact_are_not_rejected(tmp_path, signal_uv, changed, flags):
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ, [("stim", 11.0, 0.0)]) | changed, signal_uv)
    reader = open_reader(path)
    assert reader.header.flags == flags
    assert reader.header.annotations[0].onset_s == 0.1
    np.testing.assert_array_equal(reader.read_uv(0, N, range(4)), signal_uv)


def test_blanks_around_labels_are_not_part_of_them(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, fields((" E1", "E2 ", "E3", "Cz"), N, RATE_HZ), signal_uv)
    assert open_reader(path).header.labels == LABELS


def test_a_single_channel_may_stand_as_a_column(tmp_path, signal_uv):
    path = tmp_path / "x.set"
    write_set(path, fields(("Cz",), N, RATE_HZ), signal_uv[:1].T)
    np.testing.assert_array_equal(open_reader(path).read_uv(0, N, [0]), signal_uv[:1])


@pytest.mark.parametrize("missing", ["nbchan", "pnts", "srate"])
def test_matlab_files_of_other_things_are_rejected(tmp_path, signal_uv, missing):
    content = fields(LABELS, N, RATE_HZ)
    content.pop(missing)
    write_set(tmp_path / "x.set", content, signal_uv)
    error = rejection(tmp_path / "x.set")
    assert error.code == "not_eeglab"
    assert missing in error.reason


def test_several_datasets_are_not_one(tmp_path, signal_uv):
    write_set(tmp_path / "x.set", {"EEG": [fields(LABELS, N, RATE_HZ)] * 2}, signal_uv, in_struct=False)
    error = rejection(tmp_path / "x.set")
    assert error.code == "not_eeglab"
    assert "2 datasets" in error.reason


@pytest.mark.parametrize("n_changed", [-4, 4, -4 * len(LABELS) * 100])
def test_an_fdt_of_another_size_is_rejected(tmp_path, signal_uv, n_changed):
    path = with_fdt(tmp_path, signal_uv)
    whole = (tmp_path / "x.fdt").read_bytes()
    (tmp_path / "x.fdt").write_bytes(whole[:n_changed] if n_changed < 0 else whole + bytes(n_changed))
    assert rejection(path).code == "fdt_size"


def test_an_fdt_in_double_precision_is_named_as_such(tmp_path, signal_uv):
    path = with_fdt(tmp_path, signal_uv)
    signal_uv.T.astype("<f8").tofile(tmp_path / "x.fdt")
    error = rejection(path)
    assert error.code == "fdt_size"
    assert "64-bit" in error.reason


def test_a_missing_fdt_is_rejected(tmp_path, signal_uv):
    path = with_fdt(tmp_path, signal_uv)
    (tmp_path / "x.fdt").unlink()
    assert rejection(path).code == "fdt_missing"


def test_an_fdt_that_shrinks_after_opening_is_rejected(tmp_path, signal_uv):
    reader = open_reader(with_fdt(tmp_path, signal_uv))
    os.truncate(tmp_path / "x.fdt", 1000)
    with pytest.raises(RecordingError) as caught:
        reader.read_uv(0, N, [0])
    assert caught.value.code == "fdt_size"


def test_files_renamed_together_are_read_with_a_flag(tmp_path, signal_uv):
    path = with_fdt(tmp_path, signal_uv, name="before_bids.fdt")
    reader = open_reader(path)
    assert reader.header.flags == ("fdt_renamed",)
    np.testing.assert_array_equal(reader.read_uv(0, N, range(4)), signal_uv)
    # Where the named file is there, it is the one.
    write_fdt(tmp_path / "before_bids.fdt", signal_uv + 1)
    assert open_reader(path).header.flags == ("fdt_other_name",)
    np.testing.assert_array_equal(open_reader(path).read_uv(0, N, range(4)), signal_uv + 1)


@pytest.mark.parametrize("name", ["../secret.fdt", "{absolute}", "..\\secret.fdt", "C:\\secret.fdt", "sub/x.fdt", ""])
def test_names_that_lead_out_of_the_folder_are_never_opened(tmp_path, signal_uv, name):
    write_fdt(tmp_path / "secret.fdt", signal_uv)
    path = with_fdt(tmp_path / "corpus", signal_uv, name.format(absolute=tmp_path / "secret.fdt"))
    assert rejection(path).code == "data_outside_folder"


@pytest.mark.parametrize("link", ["x.fdt", "other.fdt"])
def test_links_out_of_the_folder_are_never_opened(tmp_path, signal_uv, link):
    write_fdt(tmp_path / "secret.fdt", signal_uv)
    path = with_fdt(tmp_path / "corpus", signal_uv, link)
    (tmp_path / "corpus" / "x.fdt").unlink()
    (tmp_path / "corpus" / link).symlink_to("../secret.fdt")
    assert rejection(path).code == "data_outside_folder"


def test_links_within_the_folder_or_into_its_annex_are_followed(tmp_path, signal_uv):
    path = with_fdt(tmp_path / "sub", signal_uv)
    annex = tmp_path / ".git" / "annex" / "objects" / "Xk"
    annex.mkdir(parents=True)
    shutil.move(tmp_path / "sub" / "x.fdt", annex / "SHA256E-s1--ab.fdt")
    (tmp_path / "sub" / "x.fdt").symlink_to("../.git/annex/objects/Xk/SHA256E-s1--ab.fdt")
    np.testing.assert_array_equal(open_reader(path).read_uv(0, N, range(4)), signal_uv)
    write_fdt(tmp_path / "sub" / "y.fdt", signal_uv)
    (tmp_path / "sub" / "x.fdt").unlink()
    (tmp_path / "sub" / "x.fdt").symlink_to("y.fdt")
    np.testing.assert_array_equal(open_reader(path).read_uv(0, N, range(4)), signal_uv)


def test_the_old_dat_format_is_rejected(tmp_path, signal_uv):
    assert rejection(with_fdt(tmp_path, signal_uv, "x.dat")).code == "fdt_name"


@pytest.mark.parametrize("container", ["v5", "v7", "v7.3"])
@pytest.mark.parametrize("kept_ratio", [0.2, 0.6, 0.99])
def test_truncated_containers_are_rejected(tmp_path, signal_uv, container, kept_ratio):
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ), signal_uv, container=container)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept_ratio)])
    assert rejection(path).code == "matlab_unreadable"


@pytest.mark.parametrize("container", ["v7", "v7.3"])
def test_embedded_samples_are_limited_before_they_are_inflated(tmp_path, signal_uv, container):
    path = tmp_path / "x.set"
    write_set(path, fields(LABELS, N, RATE_HZ), signal_uv, container=container)
    enough = signal_uv.nbytes + 20_000
    assert open_reader(path, ReadParams(max_memory_bytes=enough)).header.n_samples == N
    assert rejection(path, ReadParams(max_memory_bytes=signal_uv.nbytes)).code == "too_large"
