"""Annotation files of the TUH corpora: what the formats say, and every line that is not of them."""

from pathlib import Path

import numpy as np
import pytest

from eegfm.corpora.tuh_annotations import (
    LAB_SUFFIXES,
    LabPiece,
    TuhEvent,
    lab_events,
    lab_unit_s,
    read_csv,
    read_lab,
    read_rec,
    read_tse,
)
from eegfm.errors import RecordingError
from tuh_tree import TCP_NAMES, csv_text

ROWS = ["FP1-F7,0.0000,36.8868,bckg,1.0000", "FP1-F7,36.8868,112.0000,cpsz,0.5", "TERM,1,2,seiz,1"]
EVENTS = [
    TuhEvent(0.0, 36.8868, "bckg", "FP1-F7", 1.0, "csv"),
    TuhEvent(36.8868, 112.0, "cpsz", "FP1-F7", 0.5, "csv"),
    TuhEvent(1.0, 2.0, "seiz", "TERM", 1.0, "csv"),
]


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_damaged(caught: pytest.ExceptionInfo[RecordingError], path: Path, line: int, found: str) -> None:
    assert caught.value.code == "unreadable_annotations"
    assert caught.value.reason.startswith(f"{path.name}: line {line}: ")
    assert found in caught.value.reason
    assert "fetch the file again or correct the line" in caught.value.remedy


@pytest.mark.parametrize("n_comments", range(8))
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_with_any_number_of_comments(tmp_path: Path, n_comments: int, end: str) -> None:
    path = write(tmp_path, "a.csv", csv_text(ROWS, n_comments=n_comments).replace("\n", end))
    table = read_csv(path, "csv")
    assert table.events == EVENTS
    assert table.duration_s == (20.0 if n_comments >= 3 else None)


def test_csv_columns_are_found_by_name(tmp_path: Path) -> None:
    text = "\ufeff# c\n\nlabel,stop_time, channel ,start_time,annotator\n\n cpsz , 3.5,F7-T3,.5,x\n# end\n"
    assert read_csv(write(tmp_path, "a.csv", text), "csv_bi").events == [
        TuhEvent(0.5, 3.5, "cpsz", "F7-T3", None, "csv_bi")
    ]


def test_csv_without_events_and_with_an_empty_confidence(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", csv_text([])), "csv").events == []
    assert read_csv(write(tmp_path, "a.csv", csv_text(["TERM,0,1,bckg,"])), "csv").events[0].confidence is None


def test_an_event_may_have_no_length(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "a.csv", csv_text(["TERM,2.5,2.5,bckg,1"])), "csv").events[0][:2] == (2.5, 2.5)


@pytest.mark.parametrize("comment", ["# duration = 301.00 secs", "# duration=301 sec", "#Duration = 3.01e2"])
def test_stated_duration(tmp_path: Path, comment: str) -> None:
    path = write(tmp_path, "a.csv", f"{comment}\n{csv_text(ROWS, duration_s=None)}")
    assert read_csv(path, "csv").duration_s == 301.0


BAD_ROWS = [
    ("FP1-F7,0.0,1.0,bckg", "has 4 fields, 5 are expected"),
    ("FP1-F7,0.0,1.0,bckg,1.0,7", "has 6 fields, 5 are expected"),
    ("FP1-F7,nan,1.0,bckg,1.0", "'nan' is not a time in seconds"),
    ("FP1-F7,0.0,inf,bckg,1.0", "'inf' is not a time in seconds"),
    ("FP1-F7,-1.0,1.0,bckg,1.0", "'-1.0' is not a time in seconds"),
    ("FP1-F7,1_0,11,bckg,1.0", "'1_0' is not a time in seconds"),
    ("FP1-F7,,1.0,bckg,1.0", "'' is not a time in seconds"),
    ("FP1-F7,2.0,1.0,bckg,1.0", "stops at 1, before its start at 2"),
    ("FP1-F7,0.0,1.0,,1.0", "label or channel is empty"),
    (",0.0,1.0,bckg,1.0", "label or channel is empty"),
    ("FP1-F7,0.0,1.0,bckg,high", "'high' is not a confidence"),
    ("\0\0\0\0", "has 1 fields"),
]


@pytest.mark.parametrize(("row", "found"), BAD_ROWS)
def test_a_damaged_csv_names_its_line(tmp_path: Path, row: str, found: str) -> None:
    path = write(tmp_path, "a.csv", csv_text([ROWS[0], row, ROWS[1]]))
    with pytest.raises(RecordingError) as caught:
        read_csv(path, "csv")
    check_damaged(caught, path, 8, found)


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", 1, "names of the columns is missing"),
        ("# version = csv_v1.0.0\n", 1, "names of the columns is missing"),
        ("# c\nFP1-F7,0.0,1.0,bckg,1.0\n", 2, "is not the line of column names"),
        ("channel,start_time,stop_time,confidence\n", 1, "channel,start_time,stop_time,label"),
        ("# duration = long\nchannel,start_time,stop_time,label\n", 1, "'long' is not a time"),
        (b"# c\nchannel,start_time,stop_time,label\nTERM,0,1,\xff\x01\n", 1, "no text: byte 0x01 in line 3"),
    ],
)
def test_a_csv_without_its_header_is_refused(tmp_path: Path, text: str | bytes, line: int, found: str) -> None:
    path = write(tmp_path, "a.csv_bi", text)
    with pytest.raises(RecordingError) as caught:
        read_csv(path, "csv_bi")
    check_damaged(caught, path, line, found)


def without_confidence(events: list[TuhEvent]) -> list[TuhEvent]:
    return [event._replace(confidence=None) for event in events]


def test_a_csv_cut_anywhere_gives_no_wrong_event(tmp_path: Path) -> None:
    """A cut between lines cannot be noticed, nor one within the last number of a line, which is its confidence."""
    raw = csv_text(ROWS).encode()
    n_refused = 0
    for n in range(len(raw)):
        path = write(tmp_path, "a.csv", raw[:n])
        try:
            events = read_csv(path, "csv").events
        except RecordingError:
            n_refused += 1
        else:
            assert without_confidence(events) == without_confidence(EVENTS[: len(events)])
    assert n_refused > 0.8 * len(raw)


def test_tse(tmp_path: Path) -> None:
    text = "version = tse_v1.0.0\n\n0.0000 36.8868 bckg 1.0000\n36.8868\t112.0000  cpsz 0.9\n"
    assert read_tse(write(tmp_path, "a.tse", text), "tse") == [
        TuhEvent(0.0, 36.8868, "bckg", "TERM", 1.0, "tse"),
        TuhEvent(36.8868, 112.0, "cpsz", "TERM", 0.9, "tse"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", 1, "version"),
        ("0.0 1.0 bckg 1.0\n", 1, "version"),
        ("version = lbl_v1.0.0\n0.0 1.0 bckg 1.0\n", 1, "version"),
        ("version = tse_v1.0.0\n\n0.0 1.0 bckg\n", 3, "has 3 fields, 4 are expected"),
        ("version = tse_v1.0.0\n0.0 1.0 bckg 1.0\n3.0 2.0 seiz 1.0\n", 3, "stops at 2, before its start at 3"),
        ("version = tse_v1.0.0\n0.0 x bckg 1.0\n", 2, "'x' is not a time"),
    ],
)
def test_a_damaged_tse_names_its_line(tmp_path: Path, text: str, line: int, found: str) -> None:
    path = write(tmp_path, "a.tse", text)
    with pytest.raises(RecordingError) as caught:
        read_tse(path, "tse")
    check_damaged(caught, path, line, found)


def test_rec_by_the_published_table_and_without_repetitions(tmp_path: Path) -> None:
    rows = [f"{i},{i}.5,{i + 1}.5,{i % 6 + 1}" for i in range(22)]
    events = read_rec(write(tmp_path, "a.rec", "\n".join([*rows, *rows[3:9]])))
    classes = ["spsw", "gped", "pled", "eyem", "artf", "bckg"]
    assert events == [TuhEvent(i + 0.5, i + 1.5, classes[i % 6], TCP_NAMES[i], None, "rec") for i in range(22)]


def test_rec_of_the_readme(tmp_path: Path) -> None:
    assert read_rec(write(tmp_path, "a.rec", "13,90.4,91.4,6\n")) == [
        TuhEvent(90.4, 91.4, "bckg", "T4-A2", None, "rec")
    ]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("", 1, "empty"),
        ("0,1.0,2.0,6\n22,1.0,2.0,6\n", 2, "derivation 22 does not exist; 0 to 21 do"),
        ("-1,1.0,2.0,6\n", 1, "'-1' is not a whole number"),
        ("1.5,1.0,2.0,6\n", 1, "'1.5' is not a whole number"),
        ("0,1.0,2.0,7\n", 1, "class '7' is unknown; 1, 2, 3, 4, 5, 6 are known"),
        ("0,1.0,2.0,0\n", 1, "class '0' is unknown"),
        ("0,1.0,2.0\n", 1, "has 3 fields"),
        ("0,2.0,1.0,6\n", 1, "before its start"),
    ],
)
def test_a_damaged_rec_names_its_line(tmp_path: Path, text: str, line: int, found: str) -> None:
    path = write(tmp_path, "a.rec", text)
    with pytest.raises(RecordingError) as caught:
        read_rec(path)
    check_damaged(caught, path, line, found)


def test_lab(tmp_path: Path) -> None:
    path = write(tmp_path, "a_ch000.lab", "117100000 117200000 eyem\n117200000 117300000 bckg\n")
    pieces = [LabPiece(117100000, 117200000, "eyem"), LabPiece(117200000, 117300000, "bckg")]
    assert read_lab(path) == pieces
    (first, _) = lab_events({"FP1-F7": pieces}, 1e-5)
    assert first == TuhEvent(pytest.approx(1171.0), pytest.approx(1172.0), "eyem", "FP1-F7", None, "lab")
    assert read_lab(write(tmp_path, "a_ch001.lab", "")) == []
    assert LAB_SUFFIXES[:2] == ("_ch000.lab", "_ch001.lab")
    assert (len(LAB_SUFFIXES), LAB_SUFFIXES[-1]) == (22, "_ch021.lab")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1.5 2 bckg", "'1.5' is not a whole number"),
        (f"1 {'9' * 400} bckg", "is not a whole number"),
        ("1 2", "has 2 fields"),
        ("1 2 bckg 1.0", "has 4 fields"),
        ("2 1 bckg", "stops at 1"),
    ],
)
def test_a_damaged_lab_names_its_line(tmp_path: Path, text: str, found: str) -> None:
    path = write(tmp_path, "a_ch000.lab", f"0 1 bckg\n{text}\n")
    with pytest.raises(RecordingError) as caught:
        read_lab(path)
    check_damaged(caught, path, 2, found)


def made_rec(seed: int, n_events: int = 60) -> list[TuhEvent]:
    """Events of one second, one after the other, over some channels of a 20-minute recording."""
    rng = np.random.default_rng(seed)
    labels = ["spsw", "gped", "pled", "eyem", "artf", "bckg"]
    onsets = np.sort(rng.choice(1200, n_events, replace=False)) + 0.4
    return [
        TuhEvent(float(t), float(t) + 1, labels[rng.integers(6)], TCP_NAMES[rng.integers(22)], None, "rec")
        for t in onsets
    ]


def as_labs(rec: list[TuhEvent], ticks_per_s: int) -> dict[str, list[LabPiece]]:
    labs: dict[str, list[LabPiece]] = {}
    for event in rec:
        piece = LabPiece(round(event.onset_s * ticks_per_s), round(event.stop_s * ticks_per_s), event.value)
        labs.setdefault(event.channel, []).append(piece)
    return labs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("ticks_per_s", "unit_s"), [(100_000, 1e-5), (10_000_000, 1e-7)])
def test_time_unit_of_lab_files_is_decided_by_the_rec_file(seed: int, ticks_per_s: int, unit_s: float) -> None:
    rec = made_rec(seed)
    labs = as_labs(rec, ticks_per_s)
    assert lab_unit_s(labs, rec) == unit_s
    found = sorted(lab_events(labs, unit_s))
    assert [(e.value, e.channel) for e in found] == [(e.value, e.channel) for e in rec]
    np.testing.assert_allclose([e[:2] for e in found], [e[:2] for e in rec], atol=1e-6)


def test_a_few_events_may_be_missing_in_lab_files() -> None:
    rec = made_rec(0, 60)
    assert lab_unit_s(as_labs(rec[:55], 100_000), rec) == 1e-5
    with pytest.raises(RecordingError):
        lab_unit_s(as_labs(rec[:50], 100_000), rec)


def test_where_both_units_fit_the_readme_decides() -> None:
    rec = [TuhEvent(3.0, 4.0, "bckg", "FP1-F7", None, "rec")]
    assert lab_unit_s({"FP1-F7": [LabPiece(0, 120_000_000, "bckg")]}, rec) == 1e-5


@pytest.mark.parametrize("change", ["unit", "label", "channel", "shift"])
def test_lab_files_that_do_not_repeat_the_rec_file_are_refused(change: str) -> None:
    rec = made_rec(1)
    labs = as_labs(rec, 1_000 if change == "unit" else 100_000)
    if change == "label":
        labs = {c: [p._replace(value="seiz") for p in pieces] for c, pieces in labs.items()}
    elif change == "channel":
        labs = {TCP_NAMES[(TCP_NAMES.index(c) + 1) % 22]: pieces for c, pieces in labs.items()}
    elif change == "shift":
        labs = {c: [p._replace(start=p.start + 10**6, stop=p.stop + 10**6) for p in ps] for c, ps in labs.items()}
    with pytest.raises(RecordingError) as caught:
        lab_unit_s(labs, rec)
    assert caught.value.code == "annotations_disagree"
    assert "90% are needed" in caught.value.reason
