import numpy as np
import pytest

from edf_files import set_field, write_edf
from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.open import open_reader

LABELS = ("EEG FP1-REF", "EEG O2-REF", "ECG EKG-REF")


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.edf"
    rng = np.random.default_rng(0)
    write_edf(path, list(rng.normal(0, 30, (3, 500))), LABELS, 100.0)
    return path


def code_of(path):
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert path.name in str(caught.value), "the message names the file"
    assert caught.value.remedy
    return caught.value.code


REJECTED_FIELDS = [
    ("version", "1", "not_edf"),
    ("number of signals", "0", "no_signals"),
    ("number of signals", "-1", "no_signals"),
    ("number of signals", "4", "header_size"),
    ("number of signals", "x", "not_a_number"),
    ("number of records", "0", "no_records"),
    ("number of records", "-1", "unknown_record_count"),
    ("number of records", "6", "truncated"),
    ("number of records", "99999999", "truncated"),
    ("number of records", "5.0", "not_a_number"),
    ("number of records", "1_0", "not_a_number"),
    ("number of records", "0x10", "not_a_number"),
    ("record duration", "0", "record_duration"),
    ("record duration", "1,5", "record_duration"),
    ("record duration", "-1", "record_duration"),
    ("record duration", "nan", "not_a_number"),
    ("record duration", "inf", "not_a_number"),
    ("record duration", "", "not_a_number"),
    ("record duration", "1e-300", "sampling_rate"),
    ("record duration", "1e9", "sampling_rate"),
    ("label", "EEG Fp1-LE", "duplicate_label"),
    ("label", "EEG FP1-REF", "duplicate_label"),
    ("unit", "", "unknown_unit"),
    ("unit", "uv", "unknown_unit"),
    ("unit", "UV", "unknown_unit"),
    ("unit", "microV", "unknown_unit"),
    ("unit", "DegC", "unknown_unit"),
    ("physical minimum", "nan", "not_a_number"),
    ("physical maximum", "inf", "not_a_number"),
    ("physical maximum", "abc", "not_a_number"),
    ("physical maximum", "1e99", "not_a_number"),
    ("physical maximum", b"5\x0000", "not_a_number"),
    ("physical maximum", "-500", "physical_range"),
    ("digital minimum", "32767", "digital_range"),
    ("digital minimum", "-32769", "digital_range"),
    ("digital maximum", "-32769", "digital_range"),
    ("digital maximum", "40000", "digital_range"),
    ("digital maximum", "", "not_a_number"),
    ("samples per record", "0", "samples_per_record"),
    ("samples per record", "-5", "samples_per_record"),
    ("samples per record", "2.5", "not_a_number"),
    ("samples per record", "101", "truncated"),
]


@pytest.mark.parametrize(("field", "value", "code"), REJECTED_FIELDS)
def test_a_field_that_the_signal_depends_on_is_checked(good, field, value, code):
    set_field(good, field, value, channel=1)
    assert code_of(good) == code


FLAGGED_FIELDS = [
    ("start date", "01:01:85", "bad_start_date"),
    ("start date", "00.00.00", "bad_start_date"),
    ("start time", "25.00.00", "bad_start_time"),
    ("patient", "M\xfcller a=1=2", "non_ascii_header"),
    ("number of records", "4", "more_data_than_declared"),
    ("header bytes", "1023", "wrong_header_bytes"),
    ("header bytes", "", "wrong_header_bytes"),
]


@pytest.mark.parametrize(("field", "value", "flag"), FLAGGED_FIELDS)
def test_a_field_that_the_signal_does_not_depend_on_is_flagged(good, field, value, flag):
    whole = open_reader(good)
    before = whole.read_uv(0, 400, [0, 1])
    set_field(good, field, value)
    reader = open_reader(good)
    assert reader.header.flags == (flag,)
    np.testing.assert_array_equal(reader.read_uv(0, 400, [0, 1]), before)


def test_a_good_file_has_no_flags(good):
    assert open_reader(good).header.flags == ()


def test_latin1_patient_is_read(good):
    set_field(good, "patient", "M\xfcller")
    assert open_reader(good).header.patient == "M\xfcller"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08" + bytes(400), "gzip"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (bytes(5000), "zero bytes"),
        (b"PK\x03\x04" + bytes(400), "zip"),
        (np.random.default_rng(0).bytes(5000), "starts with"),
    ],
)
def test_what_is_no_edf_is_said_to_be_what_it_is(tmp_path, content, found):
    path = tmp_path / "download.edf"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=found) as caught:
        open_reader(path)
    assert caught.value.code == "not_edf"


@pytest.mark.parametrize("n_bytes", [9, 100, 255, 256, 300, 1023])
def test_a_header_cut_anywhere_is_rejected(good, n_bytes):
    good.write_bytes(good.read_bytes()[:n_bytes])
    assert code_of(good) == "truncated_header"


@pytest.mark.parametrize("n_bytes", [1024, 1025, 2000, 4023])
def test_data_cut_anywhere_are_rejected(good, n_bytes):
    good.write_bytes(good.read_bytes()[:n_bytes])
    assert code_of(good) == "truncated"


def test_extra_bytes_are_flagged(good):
    good.write_bytes(good.read_bytes() + b"\0" * 8)
    assert open_reader(good).header.flags == ("extra_bytes_at_end",)


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e6), ("mV", 1e3), ("uV", 1.0), (b"\xb5V", 1.0), ("nV", 1e-3)])
def test_known_units_become_microvolts(good, unit, factor):
    before = open_reader(good).read_uv(0, 500, [1]).astype(np.float64)
    for channel in (0, 1):
        set_field(good, "unit", unit, channel)
    np.testing.assert_allclose(open_reader(good).read_uv(0, 500, [1]), before * factor, rtol=1e-6)


@pytest.mark.parametrize("micro", ["\u00b5V", "\u03bcV"])
def test_both_micro_signs_are_known_in_utf8(good, micro):
    before = open_reader(good).read_uv(0, 500, [1])
    set_field(good, "unit", micro.encode(), channel=1)
    np.testing.assert_array_equal(open_reader(good).read_uv(0, 500, [1]), before)


def test_a_fault_of_another_channel_matters_only_when_it_is_read(good):
    set_field(good, "unit", "beats", channel=2)
    set_field(good, "physical maximum", "nan", channel=2)
    reader = open_reader(good)
    assert reader.read_uv(0, 10, [0, 1]).shape == (2, 10)
    with pytest.raises(RecordingError, match="EKG"):
        reader.read_uv(0, 10, [2])


def test_inverted_physical_range_is_read_as_the_header_says_and_flagged(good):
    before = open_reader(good).read_uv(0, 500, [0])
    for channel in (0, 1):
        set_field(good, "physical minimum", "500", channel)
        set_field(good, "physical maximum", "-500", channel)
    reader = open_reader(good)
    assert reader.header.flags == ("inverted_physical_range",)
    np.testing.assert_allclose(reader.read_uv(0, 500, [0]), -before, atol=1e-4)


def test_decimal_comma_is_read_and_flagged(good):
    set_field(good, "physical minimum", "-500,0")
    reader = open_reader(good)
    assert reader.header.flags == ("decimal_comma",)


@pytest.mark.parametrize(("unit", "meaning", "factor"), [("uv", "uV", 1.0), ("", "mV", 1e3), ("DegC", "nV", 1e-3)])
def test_a_unit_is_what_the_parameters_say_where_the_reader_does_not_know_it(good, unit, meaning, factor):
    before = open_reader(good).read_uv(0, 500, [0, 1]).astype(np.float64)
    for channel in (0, 1):
        set_field(good, "unit", unit, channel)
    with pytest.raises(RecordingError, match=r"ingest\.reading\.units"):
        open_reader(good)
    reader = open_reader(good, ReadParams(units={unit: meaning}))
    assert reader.header.flags == ("unit_taken_from_parameters",)
    np.testing.assert_allclose(reader.read_uv(0, 500, [0, 1]), before * factor, rtol=1e-6)


def test_the_parameters_count_before_a_unit_that_is_known(good):
    before = open_reader(good).read_uv(0, 500, [0, 1]).astype(np.float64)
    reader = open_reader(good, ReadParams(units={"uV": "mV"}))
    assert reader.header.flags == ("unit_taken_from_parameters",)
    np.testing.assert_allclose(reader.read_uv(0, 500, [0, 1]), before * 1e3, rtol=1e-6)


@pytest.mark.parametrize("n_signals", ["2", "3", "1"])
def test_a_header_size_that_contradicts_the_rest_of_the_file_is_rejected(good, n_signals):
    set_field(good, "header bytes", "999")
    set_field(good, "number of signals", n_signals)
    if n_signals == "3":
        good.write_bytes(good.read_bytes() + b"x")
    assert code_of(good) == "header_size"


def test_fields_of_an_ecg_are_its_own_affair(good):
    for field, value in (
        ("physical maximum", "1,5"),
        ("physical minimum", "9"),
        ("digital maximum", "3"),
        ("unit", "V"),
    ):
        set_field(good, field, value, channel=2)
        assert open_reader(good).header.flags == ()
