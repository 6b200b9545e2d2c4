from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from edf_files import set_field, write_edf
from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.open import open_reader

LABELS = ["F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
N_RECORDS = 80


def eeg_like(n, seed=0):
    return list(30 / 3.2 * lfilter([1.0], [1.0, -0.95], np.random.default_rng(seed).standard_normal((8, n)), axis=1))


@pytest.fixture(params=["EDF", "BDF", "EDF+", "EDF+ notes first"])
def good(request, tmp_path):
    """A file whose records can be told apart from shifted ones, with its truth."""
    path = tmp_path / ("x.bdf" if request.param == "BDF" else "x.edf")
    options = {"onsets_s": np.arange(float(N_RECORDS)), "reserved": "EDF+C"} if "+" in request.param else {}
    options["notes_at"] = 0 if "first" in request.param else None
    bits = 24 if request.param == "BDF" else 16
    # BioSemi's range: of 24 bits EEG takes the lower ones, and a lost byte multiplies it by 256, as smooth as before.
    options["full_scale_uv"] = 187500.0 if bits == 24 else 500.0
    truth = write_edf(path, eeg_like(128 * N_RECORDS), LABELS, 128.0, bits=bits, **options)
    return path, np.stack(truth)


def slip(path: Path, position: int, extra: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:position] + extra + data[position:])


@pytest.mark.parametrize("n_extra", [1, 2, 3, 6, 17, 64])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.8, 0.95, 0.99, 0.999])
def test_bytes_that_slipped_in_never_shift_a_sample_silently(good, n_extra, where):
    path, truth = good
    size, header_bytes = path.stat().st_size, 256 * (len(open_reader(path).header.labels) + 1)
    slip(path, header_bytes + int(where * (size - header_bytes)), np.random.default_rng(n_extra).bytes(n_extra))
    try:
        reader = open_reader(path)
    except RecordingError as error:
        code = error.code
    else:
        code = ""
    if code:
        assert code == "shifted_records"
        return
    header = reader.header
    assert {"extra_bytes_at_end"} < set(header.flags), "records left out are counted"
    picks = [header.labels.index(label) for label in LABELS]
    found = reader.read_uv(0, header.n_samples, picks)
    np.testing.assert_allclose(found, truth[:, : header.n_samples], atol=1e-4)


def test_padding_costs_nothing(good):
    path, truth = good
    slip(path, path.stat().st_size, bytes(100))
    header = open_reader(path).header
    assert header.n_samples == truth.shape[1]
    assert header.flags == ("extra_bytes_at_end",)


def test_what_a_still_channel_ends_with_is_no_padding(tmp_path):
    path = tmp_path / "x.edf"
    write_edf(path, [*eeg_like(128 * N_RECORDS)[:7], np.zeros(128 * N_RECORDS)], LABELS, 128.0)
    slip(path, path.stat().st_size // 2, b"12345678")
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "shifted_records"


def test_garbage_at_the_end_costs_the_last_records_at_most(good):
    path, truth = good
    slip(path, path.stat().st_size, np.random.default_rng(0).bytes(100))
    header = open_reader(path).header
    assert "extra_bytes_at_end" in header.flags
    assert truth.shape[1] - 12 * 128 <= header.n_samples <= truth.shape[1]
    assert header.segments == ((0, header.n_samples, 0.0),)


def test_more_records_than_declared_are_known_to_be_in_place(good):
    path, _ = good
    set_field(path, "number of records", "2")
    reader = open_reader(path)
    assert reader.header.flags == ("more_data_than_declared",)
    assert reader.header.n_samples == 256


def test_a_wrong_number_of_samples_shifts_all_records(good):
    path, _ = good
    channel = next(i for i, label in enumerate(open_reader(path).header.labels) if label == "C3")
    set_field(path, "samples per record", "127", channel)
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "shifted_records"


def test_noise_proves_nothing(tmp_path):
    path = tmp_path / "x.edf"
    write_edf(path, list(np.random.default_rng(0).normal(0, 30, (8, 5120))), LABELS, 128.0)
    slip(path, path.stat().st_size, bytes(8))
    assert open_reader(path).header.n_samples == 5120, "padding needs no other proof"
    slip(path, path.stat().st_size, b"garbage!")
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "shifted_records"


def test_transfer_as_text_is_named(good):
    path, _ = good
    data = path.read_bytes()
    assert data.count(b"\n") > 10
    path.write_bytes(data.replace(b"\n", b"\r\n"))
    with pytest.raises(RecordingError, match="binary mode") as caught:
        open_reader(path)
    assert caught.value.code == "text_mode"


@pytest.mark.parametrize("n_lost", [1, 2, 3, 33, 64])
def test_salvage_notices_lost_bytes(good, n_lost):
    path, _ = good
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + data[middle + n_lost :])
    with pytest.raises(RecordingError) as caught:
        open_reader(path, ReadParams(salvage_truncated=True))
    assert caught.value.code == "shifted_records"


@pytest.mark.parametrize("run", ["S001/S001R01", "S002/S002R01", "S004/S004R02", "S040/S040R02"])
def test_records_of_real_caps_are_known_to_be_in_place(shared_data, tmp_path, run):
    """64 neighbouring electrodes are much alike, so borders between channels are hard to see."""
    data = (shared_data / "eegmmidb" / f"{run}.edf").read_bytes()
    path = tmp_path / "x.edf"
    path.write_bytes(data)
    # Without its label the annotation channel proves nothing any more.
    set_field(path, "label", "Marker", channel=64)
    slip(path, len(data), b"garbage at the end")
    header = open_reader(path).header
    assert "extra_bytes_at_end" in header.flags
    slip(path, len(data) // 2, b"1234")
    with pytest.raises(RecordingError):
        open_reader(path)


def test_samples_beyond_the_digital_range_are_flagged_and_stay_on_the_line(tmp_path):
    path = tmp_path / "x.edf"
    truth = write_edf(path, eeg_like(1280), LABELS, 128.0)
    gain = 1000 / 65535
    for channel in range(8):
        set_field(path, "digital minimum", "-1000", channel)
        set_field(path, "digital maximum", "1000", channel)
        set_field(path, "physical minimum", f"{-1000 * gain:.4f}", channel)
        set_field(path, "physical maximum", f"{1000 * gain:.4f}", channel)
    reader = open_reader(path)
    assert reader.header.flags == ("outside_digital_range",)
    np.testing.assert_allclose(reader.read_uv(0, 1280, range(8)), truth, rtol=1e-4, atol=0.01)


def fitted(path, n_off_centre=0):
    signals = [x + 50 * (i < n_off_centre) for i, x in enumerate(eeg_like(128 * N_RECORDS))]
    ranges = [(float(f"{x.min():.5g}"), float(f"{x.max():.5g}")) for x in signals]
    write_edf(path, signals, LABELS, 128.0, ranges=ranges)
    return path


def test_an_electrode_off_centre_beside_others_that_are_not_is_flagged(tmp_path):
    assert open_reader(fitted(tmp_path / "x.edf")).header.flags == ()
    set_field(tmp_path / "x.edf", "physical maximum", "7", channel=3)
    assert open_reader(tmp_path / "x.edf").header.flags == ("offset_disagrees:C4",)


def test_offsets_are_no_fault_where_several_electrodes_have_one(tmp_path):
    assert open_reader(fitted(tmp_path / "x.edf", n_off_centre=2)).header.flags == ()
