import pytest

from edf_files import write_tones
from eegfm.errors import RecordingError
from eegfm.signal.edf.reader import EdfReader
from eegfm.signal.eeglab.reader import EeglabReader
from eegfm.signal.header import RecordingHeader, Segment
from eegfm.signal.open import open_reader
from set_files import eeg_uv, fields, write_set


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


@pytest.mark.parametrize("name", ["a.set", "a.dat"])
def test_matlab_files_are_known_by_their_content(tmp_path, name):
    write_set(tmp_path / name, fields(("Cz",), 300, 100.0), eeg_uv(1, 300, 100.0))
    assert isinstance(open_reader(tmp_path / name), EeglabReader)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"\0" * 500, "unfinished download"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"PK\x03\x04", "zip"),
        (b"MATLAB 5.0 MAT-file", "starts with"),
        (b"Brain Vision Data Exchange Marker File, Version 1.0", "starts with"),
    ],
)
@pytest.mark.parametrize("suffix", ["set", "vhdr"])
def test_other_files_are_named_for_what_they_are(tmp_path, content, found, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=found) as caught:
        open_reader(path)
    assert caught.value.code == "unknown_format"


GAPPED = RecordingHeader(("Cz",), ("uV",), 100.0, (100.0,), 1500, (Segment(0, 1000, 0.0), Segment(1000, 1500, 60.0)))


@pytest.mark.parametrize(
    ("times_s", "edges"),
    [
        ((), [(0, 1000, 0.0), (1000, 1500, 60.0)]),
        ((2.5,), [(0, 250, 0.0), (250, 1000, 2.5), (1000, 1500, 60.0)]),
        ((2.495, 2.495), [(0, 250, 0.0), (250, 1000, 2.5), (1000, 1500, 60.0)]),
        ((62.0, 2.0), [(0, 200, 0.0), (200, 1000, 2.0), (1000, 1200, 60.0), (1200, 1500, 62.0)]),
        ((0.0, -1.0, 9.995, 30.0, 60.0, 64.995, 99.0), [(0, 1000, 0.0), (1000, 1500, 60.0)]),
    ],
)
def test_segments_end_where_the_side_files_say(times_s: tuple[float, ...], edges: list[tuple[int, int, float]]) -> None:
    split = GAPPED.split_at(times_s)
    assert [tuple(segment) for segment in split.segments] == edges
    assert split.duration_s == GAPPED.duration_s
    for time_s in (0.3, 2.49, 2.5, 7.0, 61.0, 64.0):
        assert split.position_of(time_s) == pytest.approx(GAPPED.position_of(time_s))
