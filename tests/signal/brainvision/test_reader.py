import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.brainvision.reader import BrainVisionReader
from eegfm.signal.config import ReadParams
from eegfm.signal.open import open_reader

LABELS = ("Fp1", "Cz", "O2")
SUFFIXES = {"INT_16": "<i2", "INT_32": "<i4", "IEEE_FLOAT_32": "<f4"}
MNE_TESTS = Path("brainvision/mne-python/mne/io/brainvision/tests/data")


def write_brainvision(
    folder: Path,
    stored: np.ndarray,
    *,
    kind: str = "INT_16",
    orientation: str = "MULTIPLEXED",
    units: tuple[str, ...] = ("µV", "µV", "µV"),
    resolution: str = "0.5",
    markers: tuple[str, ...] = ("New Segment,,1,1,0,20200101120000000000",),
    encoding: str = "utf-8",
    changed: tuple[tuple[str, str], ...] = (),
) -> Path:
    """Write (C, T) stored values with header and markers; ``changed`` are replacements in the header's text."""
    named = enumerate(zip(LABELS, units, strict=True), 1)
    channels = [f"Ch{i}={name},,{resolution},{unit}" for i, (name, unit) in named]
    header = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "; written for a test",
        "[Common Infos]",
        "DataFile=x.eeg",
        "MarkerFile=x.vmrk",
        "DataFormat=BINARY",
        f"DataOrientation={orientation}",
        "NumberOfChannels=3",
        "SamplingInterval=4000",
        "[Binary Infos]",
        f"BinaryFormat={kind}",
        "[Channel Infos]",
        *channels,
        "[Comment]",
        "free text = [with] anything",
    ]
    text = "\r\n".join(header)
    for old, new in changed:
        assert old in text
        text = text.replace(old, new)
    (folder / "x.vhdr").write_bytes(text.encode(encoding))
    lines = [f"Mk{i}={marker}" for i, marker in enumerate(markers, 1)]
    first = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Marker Infos]"]
    (folder / "x.vmrk").write_bytes("\r\n".join([*first, *lines]).encode(encoding))
    in_order = stored.T if orientation == "MULTIPLEXED" else stored
    np.ascontiguousarray(in_order).astype(SUFFIXES[kind]).tofile(folder / "x.eeg")
    return folder / "x.vhdr"


@pytest.fixture
def stored():
    return np.random.default_rng(0).integers(-2000, 2000, (3, 700))


def code_of(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert path.stem in caught.value.reason
    return caught.value.code


@pytest.mark.parametrize("name", ["test", "test_old_layout_latin1_software_filter"])
def test_real_files_equal_mne(shared_data, name):
    path = shared_data / MNE_TESTS / f"{name}.vhdr"
    reader = open_reader(path)
    assert isinstance(reader, BrainVisionReader)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.read_raw_brainvision(path, verbose="error")
    header = reader.header
    assert (header.labels, header.rate_hz, header.n_samples) == (tuple(raw.ch_names), raw.info["sfreq"], raw.n_times)
    volts = [i for i, unit in enumerate(header.units) if unit == "µV"]
    assert len(volts) >= 26
    microvolts = (raw.get_data(volts) * 1e6).astype(np.float32)
    np.testing.assert_array_equal(reader.read_uv(0, header.n_samples, volts), microvolts)
    notes = sorted(zip(raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True))
    np.testing.assert_allclose([note[:2] for note in header.annotations], [note[:2] for note in notes], atol=1e-6)
    assert [note.text for note in header.annotations] == [text for *_, text in notes]


def test_the_old_layout_of_mne_has_two_segments(shared_data):
    reader = open_reader(shared_data / MNE_TESTS / "test_old_layout_latin1_software_filter.vhdr")
    assert reader.header.segments == ((0, 1, 0.0), (1, 251, 0.004))


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_every_binary_format_is_read_in_microvolts(tmp_path, stored, kind, orientation):
    reader = open_reader(write_brainvision(tmp_path, stored, kind=kind, orientation=orientation))
    assert reader.header.rate_hz == 250.0
    block = reader.read_uv(10, 600, [2, 0])
    np.testing.assert_allclose(block, stored[[2, 0], 10:600] * 0.5, rtol=1e-6)
    assert block.dtype == np.float32
    assert block.flags.c_contiguous
    assert reader.read_uv(5, 5, [1]).shape == (1, 0)


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
def test_every_block_equals_mne_bit_for_bit(tmp_path, kind, orientation):
    stored = np.random.default_rng(1).integers(-30_000, 30_000, (3, 50_000))
    units = ("µV", "mV", "nV")
    path = write_brainvision(tmp_path, stored, kind=kind, orientation=orientation, units=units, resolution="0.0488281")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.read_raw_brainvision(path, verbose="error")
    found = open_reader(path).read_uv(7, 49_999, [1, 2, 0])
    np.testing.assert_array_equal(found, (raw.get_data([1, 2, 0])[:, 7:49_999] * 1e6).astype(np.float32))


def test_the_other_byte_order_is_read_where_it_is_stated(tmp_path, stored):
    changed = (("BinaryFormat=INT_16", "BinaryFormat=INT_16\r\nUseBigEndianOrder=YES"),)
    path = write_brainvision(tmp_path, stored, changed=changed)
    np.fromfile(tmp_path / "x.eeg", dtype="<i2").byteswap().tofile(tmp_path / "x.eeg")
    np.testing.assert_allclose(open_reader(path).read_uv(0, 700, range(3)), stored * 0.5, rtol=1e-6)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-8-sig"])
def test_units_are_known_in_every_spelling(tmp_path, stored, encoding):
    path = write_brainvision(tmp_path, stored, units=("µV", "mV", ""), encoding=encoding)
    block = open_reader(path).read_uv(0, 700, range(3))
    np.testing.assert_allclose(block, stored * np.array([[0.5], [500.0], [0.5]]), rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "gain_uv"), [("V", 5e5), ("nV", 5e-4), ("uV", 0.5), ("\N{GREEK SMALL LETTER MU}V", 0.5), ("\xc2µV", 0.5)]
)
def test_other_spellings_of_volts(tmp_path, stored, unit, gain_uv):
    path = write_brainvision(tmp_path, stored, units=(unit,) * 3)
    np.testing.assert_allclose(open_reader(path).read_uv(0, 700, [1]), stored[[1]] * gain_uv, rtol=1e-6)


def test_unknown_units_are_refused_only_where_they_are_read(tmp_path, stored):
    path = write_brainvision(tmp_path, stored, units=("µV", "microV", "°C"))
    reader = open_reader(path)
    reader.read_uv(0, 10, [0])
    for index in (1, 2):
        with pytest.raises(RecordingError, match=r"x\.vhdr.*unit") as caught:
            reader.read_uv(0, 10, [index])
        assert caught.value.code == "unknown_unit"
    mended = open_reader(path, ReadParams(units={"microV": "uV"}))
    np.testing.assert_allclose(mended.read_uv(0, 700, [1]), stored[[1]] * 0.5, rtol=1e-6)


def test_markers_become_annotations_and_segments(tmp_path, stored):
    markers = (
        "New Segment,,1,1,0,20200101120000000000",
        "Stimulus,S  1,26,1,0",
        r"Comment,a\1 b,51,25,0",
        "New Segment,,101,1,0,20200101120500000000",
        "New Segment,,701,1,0",
        "Stimulus,lost,here,1,0",
        "Stimulus,before,0,1,0",
        f"Stimulus,never,{'9' * 400},1,0",
        f"Stimulus,nowhere,{'9' * 5000},1,0",
    )
    header = open_reader(write_brainvision(tmp_path, stored, markers=markers)).header
    assert header.segments == ((0, 100, 0.0), (100, 700, 0.4))
    assert [tuple(note) for note in header.annotations] == [
        (0.0, 0.004, "Stimulus/before"),
        (0.1, 0.004, "Stimulus/S  1"),
        (0.2, 0.1, "Comment/a, b"),
        (0.4, 0.004, "New Segment/"),
        (2.8, 0.004, "New Segment/"),
    ]
    assert header.flags == ("damaged_markers", "markers_at_zero:1")


def test_a_second_new_segment_at_the_start_says_nothing(tmp_path, stored):
    header = open_reader(write_brainvision(tmp_path, stored, markers=("New Segment,,1,0,0",) * 2)).header
    assert (header.annotations, len(header.segments)) == ((), 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("DataFormat=BINARY", "DataFormat=ASCII"), "brainvision_header"),
        (("BinaryFormat=INT_16", "BinaryFormat=UINT_16"), "brainvision_header"),
        (("DataOrientation=MULTIPLEXED", "DataOrientation=BOTH"), "brainvision_unreadable"),
        (("NumberOfChannels=3", "NumberOfChannels=2"), "channel_list"),
        (("NumberOfChannels=3", "NumberOfChannels=4"), "channel_list"),
        (("NumberOfChannels=3", "NumberOfChannels=-3"), "brainvision_header"),
        (("NumberOfChannels=3", "NumberOfChannels=" + "9" * 5000), "brainvision_header"),
        (("SamplingInterval=4000", "SamplingInterval=0"), "sampling_rate"),
        (("SamplingInterval=4000", "SamplingInterval=4,0"), "sampling_rate"),
        (("SamplingInterval=4000", "SamplingInterval=nan"), "sampling_rate"),
        (("SamplingInterval=4000", ""), "sampling_rate"),
        (("Fp1,,0.5", "Fp1,,0,5"), "brainvision_header"),
        (("Fp1,,0.5", "Fp1,,nan"), "brainvision_header"),
        (("Fp1,,0.5", "Fp1,,-0.5"), "brainvision_header"),
        (("SamplingInterval=4000", "SamplingInterval=4000\r\nDataPoints=500"), "data_size"),
        (("Ch2=", "Ch1="), "brainvision_header"),
        (("DataFile=x.eeg", "DataFile=gone/x.eeg"), "data_outside_folder"),
        (("DataFile=x.eeg", "DataFile=..\\x.eeg"), "data_outside_folder"),
        (("DataFile=x.eeg", "DataFile=/etc/hostname"), "data_outside_folder"),
        (("DataFile=x.eeg", ""), "data_outside_folder"),
        (("MarkerFile=x.vmrk", "MarkerFile=../x.vmrk"), "data_outside_folder"),
    ],
)
def test_faults_of_the_header_are_rejected(tmp_path, stored, change, code):
    assert code_of(write_brainvision(tmp_path, stored, changed=(change,))) == code


@pytest.mark.parametrize("n_bytes", [0, 3, 6 * 700 - 1])
def test_a_data_file_of_another_size_is_rejected(tmp_path, stored, n_bytes):
    path = write_brainvision(tmp_path, stored)
    (tmp_path / "x.eeg").write_bytes((tmp_path / "x.eeg").read_bytes()[:n_bytes])
    assert code_of(path) == "data_size"


def test_a_data_file_that_shrinks_after_opening_is_rejected(tmp_path, stored):
    reader = open_reader(write_brainvision(tmp_path, stored))
    (tmp_path / "x.eeg").write_bytes(b"")
    with pytest.raises(RecordingError):
        reader.read_uv(0, 700, [0])


def test_a_link_out_of_the_folder_is_never_opened(tmp_path, stored):
    (tmp_path / "corpus").mkdir()
    path = write_brainvision(tmp_path / "corpus", stored)
    (tmp_path / "corpus" / "x.eeg").rename(tmp_path / "secret.eeg")
    (tmp_path / "corpus" / "x.eeg").symlink_to("../secret.eeg")
    assert code_of(path) == "data_outside_folder"


def test_missing_files_and_files_renamed_together(tmp_path, stored):
    path = write_brainvision(tmp_path, stored, changed=(("DataFile=x.eeg", "DataFile=old.eeg"),))
    assert open_reader(path).header.flags == ("files_renamed",)
    (tmp_path / "x.vmrk").unlink()
    assert open_reader(path).header.flags == ("files_renamed", "markers_missing")
    (tmp_path / "x.eeg").unlink()
    with pytest.raises(RecordingError, match=r"old\.eeg") as caught:
        open_reader(path)
    assert caught.value.code == "data_missing"
