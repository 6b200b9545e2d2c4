import math

import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.edf.annotations import has_clock_drift, known_onsets, parse_records, split_segments


def test_onsets_and_notes_of_the_standards_own_example():
    notes = parse_records(
        [
            [b"+0\x14\x14\x00+1.5\x1525.5\x14Apnea\x14\x00\x00"],
            [b"+2.065\x14\x14Recording ends\x14\x00-0.065\x14Pre\x14Second\x14\x00"],
        ]
    )
    assert notes.onsets_s == (0.0, 2.065)
    assert notes.n_damaged == 0
    assert [(n.onset_s, n.text) for n in notes.annotations] == [
        (1.5, "Apnea"),
        (2.065, "Recording ends"),
        (-0.065, "Pre"),
        (-0.065, "Second"),
    ]
    assert notes.annotations[0].duration_s == 25.5
    assert math.isnan(notes.annotations[1].duration_s)


def test_one_latin1_byte_costs_nothing():
    notes = parse_records([[b"+0\x14\x14\x00+1\x14Augen ge\xf6ffnet\x14\x00"], [b"+1\x14\x14\x00"]])
    assert notes.annotations[0].text == "Augen geöffnet"
    assert notes.onsets_s == (0.0, 1.0)


def test_a_damaged_note_is_counted_and_costs_only_itself():
    notes = parse_records([[b"+0\x14\x14\x00+x\x14bad\x14\x00+1\x14good\x14\x00"]])
    assert (notes.n_damaged, [n.text for n in notes.annotations]) == (1, ["good"])


def test_a_note_in_a_second_channel_keeps_no_time():
    notes = parse_records([[b"+3\x14\x14\x00", b"+9\x14\x14\x00+4\x14late\x14\x00"]])
    assert notes.onsets_s == (3.0,)


def test_a_list_that_is_not_at_the_start_of_its_record_keeps_no_time():
    assert parse_records([[b"\0\0+3\x14\x14\x00"]]).onsets_s == (None,)


def test_missing_onsets_are_harmless_only_when_all_are_blank():
    assert known_onsets(parse_records([[b"\0" * 8]] * 3), "f.edf") is None
    with pytest.raises(RecordingError, match="1 of 2 records") as caught:
        known_onsets(parse_records([[b"+0\x14\x14\x00"], [b"\0" * 8]]), "f.edf")
    assert caught.value.code == "damaged_records"
    with pytest.raises(RecordingError, match="2 of 2 records"):
        known_onsets(parse_records([[b"\x14+0\x14\x14\x00"], [b"\0"]]), "f.edf")


def test_segments_start_where_onsets_jump():
    onsets_s = np.array([0.5, 1.5, 2.5, 10.0, 11.0, 11.9995])
    segments = split_segments(onsets_s, 1.0, 100, "f.edf")
    assert segments == ((0, 300, 0.0), (300, 600, 9.5))


@pytest.mark.parametrize("step_s", [-3.0, 0.0, 0.9])
def test_records_that_overlap_or_run_backwards_are_rejected(step_s):
    with pytest.raises(RecordingError) as caught:
        split_segments(np.array([0.0, 1.0, 1.0 + step_s]), 1.0, 100, "f.edf")
    assert caught.value.code == "record_order"


def test_small_steps_that_add_up_are_drift():
    onsets_s = np.arange(20) * 1.001
    segments = split_segments(onsets_s, 1.0, 100, "f.edf")
    assert len(segments) == 1
    assert has_clock_drift(onsets_s, segments, 1.0, 100)
    assert not has_clock_drift(np.arange(20.0), segments, 1.0, 100)


@pytest.mark.parametrize("record_s", [1 / 3, 0.0997, 0.46875, 9.59375])
@pytest.mark.parametrize("decimals", [2, 3, 6])
def test_rounded_onsets_are_no_gaps(record_s, decimals):
    onsets_s = np.round(np.arange(200) * record_s, decimals)
    segments = split_segments(onsets_s, record_s, 10, "f.edf")
    assert len(segments) == 1
    onsets_s[100:] += 5
    assert [s.start for s in split_segments(onsets_s, record_s, 10, "f.edf")] == [0, 1000]


@pytest.mark.parametrize("step_s", [0.5, 0.99, 1.01, 2.0, 30.0])
def test_regular_jumps_are_a_wrong_duration(step_s):
    with pytest.raises(RecordingError, match=f"every {step_s:g} s") as caught:
        split_segments(np.arange(10) * step_s, 1.0, 100, "f.edf")
    assert caught.value.code == "record_duration"


def test_irregular_jumps_are_gaps_however_many():
    onsets_s = np.array([0, 3, 8.5, 20, 27, 31.25])
    assert len(split_segments(onsets_s, 1.0, 100, "f.edf")) == 6
