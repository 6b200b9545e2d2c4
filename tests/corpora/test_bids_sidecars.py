"""Side files of EEG-BIDS: which apply, what they say, and tables and JSON that cannot be meant."""

from pathlib import Path

import pytest

from bids_tree import write_tree
from eegfm.corpora.bids_sidecars import entities, inherited, is_boundary, nearest, read_eeg_json, read_events, read_json
from eegfm.corpora.text_tables import read_table

FOLDER = "sub-01/ses-a/eeg"
STEM = "sub-01_ses-a_task-rest_run-1"
RECORDING = f"{FOLDER}/{STEM}_eeg.edf"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub-01_task-rest_eeg.edf", {"sub": "01", "task": "rest"}),
        (
            "sub-a+1_ses-b+_task-rest+eyes_acq-x+y_eeg.edf",
            {"sub": "a+1", "ses": "b+", "task": "rest+eyes", "acq": "x+y"},
        ),
        (
            "sub-01_ses-a_task-rest_acq-x_run-02_split-1_eeg.vhdr",
            {"sub": "01", "ses": "a", "task": "rest", "acq": "x", "run": "02", "split": "1"},
        ),
        ("sub-01_eeg.edf", None),
        ("sub-01_run-1_task-rest_eeg.edf", None),
        ("sub-01_task-rest_events.tsv", None),
        ("sub-01_task-rest_run-x_eeg.edf", None),
        ("sub-0_1_task-rest_eeg.edf", None),
    ],
)
def test_entities(name: str, found: dict[str, str] | None) -> None:
    assert entities(name) == found


def test_places_from_the_most_general_to_the_most_specific() -> None:
    assert inherited("sub-01/eeg/sub-01_task-rest_run-1_eeg.edf", "eeg.json") == (
        "eeg.json",
        "task-rest_eeg.json",
        "run-1_eeg.json",
        "task-rest_run-1_eeg.json",
        "sub-01/sub-01_eeg.json",
        "sub-01/sub-01_task-rest_eeg.json",
        "sub-01/sub-01_run-1_eeg.json",
        "sub-01/sub-01_task-rest_run-1_eeg.json",
        "sub-01/eeg/sub-01_eeg.json",
        "sub-01/eeg/sub-01_task-rest_eeg.json",
        "sub-01/eeg/sub-01_run-1_eeg.json",
        "sub-01/eeg/sub-01_task-rest_run-1_eeg.json",
    )


def test_a_session_is_named_by_all_files_below_it() -> None:
    places = inherited(RECORDING, "events.tsv")
    assert "ses-a_task-rest_events.tsv" in places
    assert "sub-01/sub-01_task-rest_events.tsv" in places
    assert f"{FOLDER}/sub-01_ses-a_task-rest_events.tsv" in places
    assert places[-1] == f"{FOLDER}/{STEM}_events.tsv"
    assert not [p for p in places if p.startswith("sub-01/ses-a/") and "_ses-a" not in p]
    assert len(set(places)) == len(places)


def test_places_keep_what_leads_to_the_data_set() -> None:
    """Absolute paths, a raw folder above the data set, and files that lie outside of any."""
    below = inherited("sub-01/eeg/sub-01_task-rest_eeg.edf", "eeg.json")
    assert inherited("/data/ds1/sub-01/eeg/sub-01_task-rest_eeg.edf", "eeg.json") == tuple(
        f"/data/ds1/{place}" for place in below
    )
    assert inherited("flat/sub-01_task-rest_eeg.edf", "eeg.json") == (
        "flat/sub-01_eeg.json",
        "flat/sub-01_task-rest_eeg.json",
    )
    assert inherited("sub-01/eeg/notes.edf", "eeg.json") == ()


def test_tables_are_not_merged(tmp_path: Path) -> None:
    root = write_tree(tmp_path, {"task-rest_events.tsv": "a", f"{FOLDER}/sub-01_ses-a_task-rest_events.tsv": "b"})
    assert nearest(root / RECORDING, "events.tsv") == root / FOLDER / "sub-01_ses-a_task-rest_events.tsv"
    assert nearest(root / RECORDING.replace("01", "02"), "events.tsv") == root / "task-rest_events.tsv"
    assert nearest(root / RECORDING, "channels.tsv") is None


def test_json_is_merged_key_by_key(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "task-rest_eeg.json": {"SamplingFrequency": 500, "EEGReference": "Cz", "EEGChannelCount": 5},
            "task-other_eeg.json": {"SamplingFrequency": 1},
            f"{FOLDER}/sub-01_ses-a_run-1_eeg.json": {"RecordingDuration": 7.5, "EEGChannelCount": 6},
            f"{FOLDER}/{STEM}_eeg.json": {"EEGChannelCount": 7},
        },
    )
    facts = read_eeg_json(root / RECORDING)
    assert facts.files["SamplingFrequency"] == root / "task-rest_eeg.json"
    assert facts.reference == "Cz"
    expected = facts.expected()
    assert (expected.rates_hz, expected.duration_s, expected.n_channels) == ((500.0,), 7.5, 7)
    assert expected.source == f"sub-01_ses-a_run-1_eeg.json and {STEM}_eeg.json and task-rest_eeg.json"
    assert facts.expected((100.0, 500.0)).rates_hz == (100.0, 500.0)


@pytest.mark.parametrize("value", [None, "n/a", "", 0, 0.0])
def test_numbers_that_are_not_stated(tmp_path: Path, value: object) -> None:
    root = write_tree(tmp_path, {f"{FOLDER}/{STEM}_eeg.json": {"SamplingFrequency": value}})
    assert read_eeg_json(root / RECORDING).expected().rates_hz == ()


@pytest.mark.parametrize("value", ["fast", -1, float("nan"), float("inf"), True, [500], "5 Hz", 10**400])
def test_numbers_that_are_none_count_as_missing(tmp_path: Path, value: object) -> None:
    root = write_tree(tmp_path, {f"{FOLDER}/{STEM}_eeg.json": {"RecordingDuration": value}})
    facts = read_eeg_json(root / RECORDING)
    assert facts.expected().duration_s is None
    assert facts.flags == ("side_file_not_understood:eeg.json:RecordingDuration",)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe{", b'{"a": 1}}', b"[" * 100_000])
def test_json_that_cannot_be_read_is_left_out(tmp_path: Path, content: bytes) -> None:
    root = write_tree(tmp_path, {"task-rest_eeg.json": content, f"{FOLDER}/{STEM}_eeg.json": {"EEGReference": "Cz"}})
    facts = read_eeg_json(root / RECORDING)
    assert (facts.reference, facts.flags) == ("Cz", ("side_file_unreadable:eeg.json",))
    with pytest.raises(ValueError, match=r"task-rest_eeg\.json: not readable as JSON"):
        read_json(root / "task-rest_eeg.json")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Cz", "Cz"),
        (" CZ ", "Cz"),
        ("Average", "average"),
        ("linked ears", "linked_ears"),
        ("A1+A2", "linked_ears"),
        ("common", None),
        ("linked mastoids", None),
        ("placed on Cz, later average", None),
        ("n/a", None),
        (None, None),
    ],
)
def test_references_that_are_beyond_doubt(tmp_path: Path, text: str | None, reference: str | None) -> None:
    root = write_tree(tmp_path, {"task-rest_eeg.json": {"EEGReference": text} if text else {}})
    assert read_eeg_json(root / RECORDING).reference == reference


def test_tables_as_editors_write_them(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {"t.tsv": '\ufeffname\tnote\r\n\r\na\tsaid "x\r\nb\tn/a\r\nc\t\r\nd\té\u2028n/a\r\n'.encode()},
    )
    assert read_table(root / "t.tsv", ["name"]).rows == [
        {"name": "a", "note": 'said "x'},
        {"name": "b", "note": None},
        {"name": "c", "note": None},
        {"name": "d", "note": "é\u2028n/a"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 must name a once, it is ''"),
        ("a\ta\n1\t2\n", "line 1 must name a once"),
        ("<html>", "line 1 must name a once, it is '<html>'"),
        ("b\tc\n1\t2\n", "line 1 must name a"),
    ],
)
def test_tables_whose_columns_cannot_be_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write_tree(tmp_path, {"t.tsv": text}) / "t.tsv", ["a"])


def test_events(tmp_path: Path) -> None:
    table = [
        ("onset", "duration", "sample", "value", "hand", "recording_id"),
        (0.5, "n/a", 50, 7, "left", "x"),
        (-1, 0, "n/a", "n/a", "n/a", "n/a"),
    ]
    path = write_tree(tmp_path, {"e.tsv": table}) / "e.tsv"
    assert read_events(path).rows == [
        {"value": "7", "hand": "left", "recording_id_in_file": "x", "onset_s": 0.5, "duration_s": None},
        {"value": "", "hand": None, "recording_id_in_file": None, "onset_s": -1.0, "duration_s": 0.0},
    ]


@pytest.mark.parametrize("word", ["n/a", "nan", "", "NaN", "inf", "soon", "1,5"])
def test_a_row_without_an_onset_is_left_out_and_counted(tmp_path: Path, word: str) -> None:
    table = [("onset", "duration", "trial_type"), (2.0, "n/a", "go"), (word, "n/a", "go"), (10, "n/a", "stop")]
    found = read_events(write_tree(tmp_path, {"e.tsv": table}) / "e.tsv")
    assert [(event["onset_s"], event["value"]) for event in found.rows] == [(2.0, "go"), (10.0, "stop")]
    assert (found.flags, found.is_read) == (("events_without_onset:1",), True)


@pytest.mark.parametrize(
    ("word", "is_flagged"), [("n/a", False), ("nan", False), ("", False), ("2 s", True), ("inf", True)]
)
def test_a_duration_that_is_none_is_unknown(tmp_path: Path, word: str, is_flagged: bool) -> None:
    table = [("onset", "duration", "value"), (1, 2, "go"), (3, word, "go")]
    found = read_events(write_tree(tmp_path, {"e.tsv": table}) / "e.tsv")
    assert [event["duration_s"] for event in found.rows] == [2.0, None]
    assert found.flags == (("side_file_not_understood:events.tsv:duration",) if is_flagged else ())


def test_rows_and_columns_that_cannot_be_told(tmp_path: Path) -> None:
    text = "onset\tvalue\tvalue\thand\t\n1\tgo\tstop\tleft\n2\tgo\tgo\tright\t\t\n3\tgo\n"
    found = read_events(write_tree(tmp_path, {"e.tsv": text}) / "e.tsv")
    assert [(event["onset_s"], event["value"], event["hand"]) for event in found.rows] == [
        (1, "", "left"),
        (2, "", "right"),
    ]
    assert found.flags == ("side_file_rows_left_out:events.tsv:1", "side_file_not_understood:events.tsv:value")
    assert read_events(write_tree(tmp_path, {"e.tsv": "time\n1\n"}) / "e.tsv") == (
        *([], ("side_file_unreadable:events.tsv",), False),
    )


def test_what_happened_counts_more_than_the_number_of_its_trigger(tmp_path: Path) -> None:
    table = [("onset", "trial_type", "value"), (0, "go", 7), (1, "n/a", 8), (2, "stop", "n/a")]
    found = read_events(write_tree(tmp_path, {"e.tsv": table}) / "e.tsv").rows
    assert [(e["value"], e["trial_type"], e["marker_value"]) for e in found] == [
        ("go", "go", "7"),
        ("8", None, "8"),
        ("stop", "stop", None),
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("boundary", True),
        ("Boundary", True),
        ("EDGE boundary", True),
        ("New Segment/", True),
        ("boundary_left", False),
        ("segment", False),
        ("", False),
    ],
)
def test_boundaries(value: str, found: bool) -> None:
    assert is_boundary({"value": value}) is found
