import pytest

from edf_files import write_tones
from eegfm.errors import RecordingError
from eegfm.signal.edf import EdfReader
from eegfm.signal.reader import RecordingHeader, Segment, open_reader


def test_the_first_bytes_decide(tmp_path):
    path = tmp_path / "recording.data"
    write_tones(path, ["Cz"], [10.0], 4.0, 100.0)
    assert isinstance(open_reader(path), EdfReader)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.txt", b"hello, this is text", "unknown_format"),
        ("a.set", b"<html></html>", "unknown_format"),
        ("a.edf", b"<html></html>", "not_edf"),
    ],
)
def test_other_files_are_rejected(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == code


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.symlink_to("nowhere")])
def test_what_cannot_be_opened_is_rejected(tmp_path, make):
    path = tmp_path / "x.edf"
    make(path)
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "unreadable"


def test_positions_follow_the_segments():
    header = RecordingHeader(("Cz",), ("uV",), 10.0, (10.0,), 50, (Segment(0, 20, 0.0), Segment(20, 50, 7.0)))
    assert header.duration_s == 5.0
    assert [header.position_of(t) for t in (0.0, -0.04, 1.9, 2.5, 7.0, 9.9, 10.1, -1.0)] == [
        0.0, 0.0, 19.0, None, 20.0, pytest.approx(49.0), None, None,
    ]  # fmt: skip
