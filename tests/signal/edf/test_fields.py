import pytest

from eegfm.errors import RecordingError
from eegfm.signal.edf.fields import CHANNEL_BYTES, CHANNEL_FIELDS, FIXED_BYTES, FIXED_FIELDS, Fields, fixed_columns


def test_widths_are_those_of_the_standard():
    assert sum(FIXED_FIELDS.values()) == FIXED_BYTES == 256
    assert sum(CHANNEL_FIELDS.values()) == CHANNEL_BYTES == 256


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("-32768", -32768), ("+12", 12), ("007", 7)])
def test_whole_numbers(text, value):
    assert Fields("f.edf").integer(text, "field") == value


@pytest.mark.parametrize("text", ["", "1.0", "1e3", "0x10", "1_0", "1 0", "abc", "nan", "-", "1\0", "\u0663"])
def test_what_is_no_whole_number(text):
    with pytest.raises(RecordingError, match=r"f\.edf: width is") as caught:
        Fields("f.edf").integer(text, "width")
    assert caught.value.code == "not_a_number"


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), ("-8092.5", -8092.5), (".5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("1E+2", 100.0)]
)
def test_numbers(text, value):
    fields = Fields("f.edf")
    assert fields.decimal(text, "field") == value
    assert fields.flags == set()


def test_a_decimal_comma_is_read_and_flagged():
    fields = Fields("f.edf")
    assert fields.decimal("-8092,5", "field") == -8092.5
    assert fields.flags == {"decimal_comma"}


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "1,000.0", "1e13", "1e999", "1 000", "0x1p3", "1_0", "e5"])
def test_what_is_no_number(text):
    with pytest.raises(RecordingError) as caught:
        Fields("f.edf").decimal(text, "field")
    assert caught.value.code == "not_a_number"


def test_fields_are_stripped_and_of_any_encoding():
    start = b"0       " + "Müller\0".encode("latin-1").ljust(80) + "Zoë µ".encode().ljust(80) + b" " * 88
    fixed = fixed_columns(start)
    assert (fixed["version"], fixed["patient"], fixed["recording"]) == ("0", "Müller", "Zoë µ")
