"""Blanks around cells, names, notes and markers change nothing: the padded corpus equals the plain one."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pandas as pd
import pytest

from bids_tree import Table, convert_file, write_signal, write_tree
from edf_files import set_field, write_edf
from eegfm.corpora.config import BidsCorpus, HbnCorpus, TuhCorpus
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.jobs.ingest.convert import Converted
from eegfm.jobs.ingest.ingest import ingest
from eegfm.signal.config import SignalParams
from eegfm.signal.montages.layouts import electrode_table
from eegfm.signal.open import open_reader
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from set_files import fields, write_set
from tuh_tree import csv_text, write_recording

BLANKS = [" ", "   ", "\u00a0", "\ufeff", "\u200b"]
LABELS = ("Fp1", "Fp2", "C3", "Cz", "C4", "O1", "O2", "X1")
FOLDER = "sub-01/eeg"
STEM = f"{FOLDER}/sub-01_task-rest"
RECORDING = f"{STEM}_eeg.edf"
SIGNAL = SignalParams(min_channels=2)


def padded(table: Table, blanks: str) -> Table:
    """All cells, those of the header among them, with blanks before and behind, and lines that end in CR."""
    return [[f"{blanks}{cell}{blanks}" for cell in row[:-1]] + [f"{blanks}{row[-1]}{blanks}\r"] for row in table]


def quoted(table: Table, blanks: str) -> Table:
    return [[f'{blanks}"{cell}"' for cell in row] for row in table]


def bids_tables() -> dict[str, Any]:
    points = {name: np.array(electrode_table("1005")[name].position_m) * 0.95 for name in LABELS[:-1]}
    electrodes = [(name, *map(float, xyz)) for name, xyz in points.items()]
    channels = [(name, "EEG", "uV", "good", 100) for name in LABELS[1:-1]]
    return {
        "participants.tsv": [("participant_id", "age", "sex", "group"), ("sub-01", "31", "F", "HC")],
        f"{STEM}_channels.tsv": [
            ("name", "type", "units", "status", "sampling_frequency"),
            ("Fp1", "EEG", "uV", "bad", 100),
            *channels,
            ("X1", "MISC", "n/a", "n/a", "N/A"),
        ],
        f"{STEM}_events.tsv": [
            ("onset", "duration", "trial_type", "hand"),
            (1, 2, "go", "left"),
            (3, "n/a", "stop", "n/a"),
        ],
        f"{FOLDER}/sub-01_electrodes.tsv": [("name", "x", "y", "z"), *electrodes],
    }


def system(blanks: str) -> dict[str, str]:
    return {"EEGCoordinateSystem": f"CapTrak{blanks}", "EEGCoordinateUnits": f"{blanks}m"}


def bids_facts(root: Path, tables: dict[str, Any], blanks: str = "") -> list[Any]:
    """Everything that the tables decide on."""
    write_signal(root / RECORDING, LABELS)
    side = {f"{STEM}_eeg.json": {"EEGReference": f"{blanks}Cz{blanks}", "SamplingFrequency": 100}}
    write_tree(root, {**side, **tables, f"{FOLDER}/sub-01_coordsystem.json": system(blanks)})
    config = BidsCorpus(positions="electrodes_tsv", labels={"group": "text"})
    done = convert_file(config, root, RECORDING, root / ".spool")
    assert isinstance(done, Converted), done
    labels = config.build("corpus").labels(root)
    assert labels is not None
    people = labels.rows.to_dict("records")
    return [done.montage, done.events, done.facts["flags"], done.facts["labels_left_out"], people]


@pytest.mark.parametrize("blanks", BLANKS)
@pytest.mark.parametrize("written", [padded, quoted])
def test_padded_tables_of_bids(tmp_path: Path, blanks: str, written: Any) -> None:
    plain = bids_facts(tmp_path / "plain", bids_tables())
    assert plain[2] == ["marked_bad:Fp1"]
    assert plain[4] == [{"subject": "01", "age_years": 31.0, "sex": "F", "group": "HC"}]
    tables = {name: written(table, blanks) for name, table in bids_tables().items()}
    assert bids_facts(tmp_path / "padded", tables, blanks) == plain


def test_names_of_columns_in_other_cases(tmp_path: Path) -> None:
    plain = bids_facts(tmp_path / "plain", bids_tables())
    renamed = {
        name: [[str(cell).upper() if cell != "hand" else cell for cell in table[0]], *table[1:]]
        for name, table in bids_tables().items()
        if name != "participants.tsv"
    }
    assert bids_facts(tmp_path / "renamed", {**bids_tables(), **renamed}) == plain


@pytest.mark.parametrize("blanks", BLANKS)
def test_padded_tables_of_hbn(tmp_path: Path, blanks: str) -> None:
    labels = (*(f"E{k}" for k in range(1, 129)), "Cz")
    path = "sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState_eeg"
    tables = {
        "participants.tsv": [
            ("participant_id", "release_number", "sex", "age", "p_factor"),
            ("sub-NDARAA1", "R5", "F", "11.3", "n/a"),
        ],
        f"{path[:-4]}_events.tsv": [
            ("onset", "duration", "value", "event_code"),
            (0, "n/a", "break cnt", "break cnt"),
            (1.5, "n/a", "resting_start", 90),
            (2.5, "n/a", "instructed_toOpenEyes", 20),
        ],
        f"{path[:-4]}_channels.tsv": [("name", "type", "units"), *((name, "EEG", "uV") for name in labels)],
    }
    found = []
    for root, changed in ((tmp_path / "plain", None), (tmp_path / "padded", padded)):
        write_signal(root / f"{path}.bdf", labels)
        write_tree(root, {name: changed(table, blanks) if changed else table for name, table in tables.items()})
        done = convert_file(HbnCorpus(), root, f"{path}.bdf", root / ".spool")
        assert isinstance(done, Converted), done
        row = HbnCorpus().build("hbn").index(root).iloc[0]
        found.append([done.events, done.facts["flags"], *row[["official_split", "age_years", "sex"]]])
    assert found[0] == found[1]
    assert found[0][1:] == [[], "R5", 11.3, "F"]
    assert [event["value"] for event in found[0][0]] == ["resting_start", "instructed_toOpenEyes"]


@pytest.mark.parametrize("reference", ["Cz", "CZ", " cz ", "n/a", "N/A", ""])
def test_the_reference_of_hbn_in_other_spellings(tmp_path: Path, reference: str) -> None:
    labels = (*(f"E{k}" for k in range(1, 129)), "Cz")
    path = "sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState_eeg.bdf"
    write_signal(tmp_path / path, labels)
    write_tree(tmp_path, {path.replace(".bdf", ".json"): {"EEGReference": reference}})
    done = convert_file(HbnCorpus(), tmp_path, path, tmp_path / ".spool")
    assert isinstance(done, Converted), done
    assert done.montage.reference == "Cz"
    assert not [flag for flag in done.facts["flags"] if flag.startswith("other_reference")]


@pytest.mark.parametrize("blanks", [*BLANKS, "\t"])
def test_padded_annotations_of_tuh(tmp_path: Path, blanks: str) -> None:
    path = "edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf"
    rows = ["FP1-F7,0.0,3.5,bckg,1.0", "FP1-F7,3.5,9.0,cpsz,0.5"]
    plain = csv_text(rows)
    lines = [line if line.startswith("#") else _wide(line.split(","), blanks) for line in plain.splitlines()]
    quotes = [line if line.startswith("#") else ",".join(f'"{f}"' for f in line.split(",")) for line in lines]
    found = []
    for name, text in (("plain", plain), ("padded", "\r\n".join(lines)), ("quoted", "\n".join(quotes))):
        write_recording(tmp_path / name, path, suffix="LE")
        write_tree(tmp_path / name, {path.replace(".edf", ".csv"): text})
        write_tree(
            tmp_path / name, {path.replace(".edf", ".tse"): f"version = tse_v1.0.0\n\n{blanks}0.0  3.5 bckg 1\n"}
        )
        done = convert_file(TuhCorpus(), tmp_path / name, path, tmp_path / name / ".spool")
        assert isinstance(done, Converted), done
        found.append(done.events)
    assert found[0] == found[1] == found[2]
    assert Counter(event["value"] for event in found[0]) == {"bckg": 2, "cpsz": 1}


def _wide(cells: Sequence[str], blanks: str) -> str:
    return ",".join(f"{blanks}{cell}{blanks}" for cell in cells)


@pytest.mark.parametrize("blanks", [*BLANKS, "\n", "\t "])
@pytest.mark.parametrize("bits", [16, 24])
def test_notes_of_edf_and_bdf(tmp_path: Path, blanks: str, bits: int) -> None:
    path = tmp_path / ("x.edf" if bits == 16 else "x.bdf")
    texts = ["go", f"go{blanks}", f"{blanks}go", f"left{blanks}hand", blanks]
    notes = [(float(k), None, text.encode()) for k, text in enumerate(texts)]
    write_edf(path, [np.ones(1000)], ["Cz"], 100.0, notes=notes, bits=bits)
    found = [(note.onset_s, note.text) for note in open_reader(path).header.annotations]
    assert found == [(0.0, "go"), (1.0, "go"), (2.0, "go"), (3.0, f"left{blanks}hand")]


@pytest.mark.parametrize("label", ["EDF Annotations", "EDF annotations", "edf annotations", "EDF ANNOTATIONS"])
def test_the_list_of_notes_by_any_spelling_of_its_label(tmp_path: Path, label: str) -> None:
    path = tmp_path / "x.edf"
    write_edf(path, [np.ones(1000)], ["Cz"], 100.0, notes=[(2.0, 1.0, b"go")])
    set_field(path, "label", label, channel=1)
    header = open_reader(path).header
    assert [(note.onset_s, note.duration_s, note.text) for note in header.annotations] == [(2.0, 1.0, "go")]
    assert (header.flags, header.rate_hz) == ((), 100.0)


def test_labels_and_units_of_edf(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    write_edf(path, [np.ones(1000)] * 2, ["Cz", "X1"], 100.0)
    for channel, (label, unit) in enumerate([(" Cz\u00a0", "uV\u00a0"), ("\u00a0X1 ", "\u00a0uV")]):
        set_field(path, "label", label.encode("latin-1"), channel)
        set_field(path, "unit", unit.encode("latin-1"), channel)
    header = open_reader(path).header
    assert (header.labels, header.units) == (("Cz", "X1"), ("uV", "uV"))


@pytest.mark.parametrize("blanks", BLANKS)
def test_markers_of_brainvision(tmp_path: Path, blanks: str) -> None:
    """As MNE reads the plain file; a line that is moved to the right is a marker like any other."""
    head = "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=x.eeg\nMarkerFile=x.vmrk\n"
    head += "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=1\nSamplingInterval=10000\n"
    head += "[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=Cz,,1,uV\n"
    markers = [("New Segment", "", 1), ("Stimulus", "S  1", 11), ("Response", "R  5", 31), ("Comment", "go", 51)]
    texts = []
    for name, pad in (("plain", ""), ("padded", blanks)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.vhdr").write_text(head, encoding="utf-8")
        (tmp_path / name / "x.eeg").write_bytes(bytes(2000))
        lines = [
            f"{pad}Mk{k}={pad}{kind}{pad},{pad}{text}{pad},{at},1,0" for k, (kind, text, at) in enumerate(markers, 1)
        ]
        first = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Marker Infos]"]
        (tmp_path / name / "x.vmrk").write_text("\n".join([*first, *lines]), encoding="utf-8")
        texts.append([(note.onset_s, note.text) for note in open_reader(tmp_path / name / "x.vhdr").header.annotations])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = mne.io.read_raw_brainvision(tmp_path / "plain" / "x.vhdr", verbose="error").annotations
    assert texts[0] == texts[1]
    assert texts[0] == [(0.1, "Stimulus/S  1"), (0.3, "Response/R  5"), (0.5, "Comment/go")]
    assert list(theirs.description) == [text for _, text in texts[0]]


@pytest.mark.parametrize("blanks", BLANKS)
def test_events_and_labels_of_eeglab(tmp_path: Path, blanks: str) -> None:
    events = [("go", 11.0, 0.0), (f"go{blanks}", 21.0, 0.0), (f"{blanks}boundary", 50.5, np.nan)]
    path = tmp_path / "x.set"
    write_set(path, fields((f"Cz{blanks}", "C3"), 100, 100.0, events), np.ones((2, 100), dtype=np.float32))
    header = open_reader(path).header
    assert [note.text for note in header.annotations] == ["go", "go", "boundary"]
    assert header.labels == ("Cz", "C3")
    assert [segment.start for segment in header.segments] == [0, 50]


@pytest.mark.parametrize("width", [0, 14])
def test_windows_of_a_corpus_whose_tables_are_lined_up(tmp_path: Path, width: int) -> None:
    """The public reports that led here: half of the events, and all ages and groups, were lost without a word."""
    raw = tmp_path / "raw"
    people = [("participant_id", "age", "sex", "group"), ("sub-01", 30, "M", "patient"), ("sub-02", 31, "F", "control")]
    rows = [("onset", "duration", "trial_type"), *((2 + 4 * k, 2.0, ("right", "left")[k % 2]) for k in range(6))]
    wide = {"participants.tsv": [[str(cell).ljust(width) for cell in row] for row in people]}
    for subject in ("01", "02"):
        write_signal(raw / f"sub-{subject}/eeg/sub-{subject}_task-x_eeg.edf", LABELS[:-1], duration_s=30)
        name = f"sub-{subject}/eeg/sub-{subject}_task-x_events.tsv"
        wide[name] = [[str(cell).ljust(width) for cell in row] for row in rows]
    write_tree(raw, wide)
    params = IngestParams(corpus=BidsCorpus(labels={"group": "text"}), workers=WorkerParams(n_workers=1))
    done = ingest(params.corpus.build("b").index(raw), raw, params, SIGNAL, tmp_path / "store", simulated=False)
    people_found = done.recordings[["subject", "age_years", "sex", "group"]].to_numpy().tolist()
    assert people_found == [["01", 30.0, "M", "patient"], ["02", 31.0, "F", "control"]]
    anchors = {side: {"values": [side], "span_s": 2} for side in ("left", "right")}
    cuts = {"hands": {"name": "events", "length_s": 2, "anchors": anchors}}
    windows, _ = cut_windows(done.recordings, done.events, WindowParams.model_validate({"cuts": cuts}))
    assert pd.Series(windows["label"]).value_counts().to_dict() == {"left": 6, "right": 6}
