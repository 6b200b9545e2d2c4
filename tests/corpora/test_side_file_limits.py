"""Side files and raw folders that nobody writes in good faith: one row or one line each, at once, within bounds."""

import json
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bids_tree import convert_file, write_signal, write_tree
from eegfm.corpora.base import Corpus
from eegfm.corpora.bids_participants import read_participants
from eegfm.corpora.config import BidsCorpus, EdfFolderCorpus
from eegfm.corpora.manifest import published_files, read_manifest
from eegfm.corpora.text_tables import cells, read_table
from eegfm.errors import EegfmError
from eegfm.jobs.ingest.convert import Converted
from eegfm.store.index import RejectedEntry
from set_files import TEN_TWENTY
from tone_corpus import PARAMS, run_ingest, write_corpus

NAME = "sub-01/eeg/sub-01_task-x_eeg.edf"
STEM = NAME.removesuffix("_eeg.edf")
EVENTS, EEG_JSON, CHANNELS = f"{STEM}_events.tsv", f"{STEM}_eeg.json", f"{STEM}_channels.tsv"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_signal(tmp_path / "raw" / NAME, TEN_TWENTY[:8])
    return tmp_path / "raw"


def fifo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def socket_at(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(n_bytes: int, start: bytes = b"onset\tduration\n") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(start)
        os.truncate(path, n_bytes)

    return write


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def rejected(root: Path, tmp_path: Path) -> RejectedEntry:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = convert_file(BidsCorpus(), root, NAME, tmp_path / "spool")
    assert isinstance(done, RejectedEntry), done.facts
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 400 << 20
    assert "\n" not in done.reason
    assert len(done.reason) < 400
    return done


@pytest.mark.parametrize(
    ("name", "write", "code", "reason"),
    [
        (EVENTS, fifo, "no_regular_file", "sub-01_task-x_events.tsv: is a pipe, no regular file"),
        (EVENTS, socket_at, "no_regular_file", "is a socket, no regular file"),
        (EVENTS, device, "no_regular_file", "is a device, no regular file"),
        (EVENTS, Path.mkdir, "no_regular_file", "is a folder, no regular file"),
        (EEG_JSON, fifo, "no_regular_file", "sub-01_task-x_eeg.json: is a pipe"),
        (CHANNELS, fifo, "no_regular_file", "sub-01_task-x_channels.tsv: is a pipe"),
    ],
)  # fmt: skip
def test_a_hostile_side_file_is_one_row(
    root: Path, tmp_path: Path, name: str, write: Callable[[Path], object], code: str, reason: str
) -> None:
    write(root / name)
    done = rejected(root, tmp_path)
    assert done.code == code
    assert reason in done.reason


EVENTS_FLAG, JSON_FLAG = "side_file_unreadable:events.tsv", "side_file_unreadable:eeg.json"
RATE_FLAG = "side_file_not_understood:eeg.json:SamplingFrequency"


@pytest.mark.parametrize(
    ("name", "write", "flag"),
    [
        (EVENTS, sparse(2 << 30), EVENTS_FLAG),
        (EEG_JSON, sparse(2 << 30), JSON_FLAG),
        (EVENTS, text("onset\tduration" + "".join(f"\tc{k}" for k in range(200_000)) + "\n1\t0\n"), EVENTS_FLAG),
        (EVENTS, text("onset\tduration" + "".join(f"\tc{k}" for k in range(900)) + "\n" * 30_000), EVENTS_FLAG),
        (EEG_JSON, text('{"a":' * 50_000 + "1" + "}" * 50_000), JSON_FLAG),
        (EEG_JSON, text('{"a": ' + "9" * 5000 + "}"), JSON_FLAG),
        (EEG_JSON, text('{"SamplingFrequency": NaN}'), RATE_FLAG),
        (EEG_JSON, text('{"SamplingFrequency": ' + "9" * 399 + "}"), RATE_FLAG),
    ],
)  # fmt: skip
def test_a_side_file_without_bounds_is_a_flag_and_is_not_taken(
    root: Path, tmp_path: Path, name: str, write: Callable[[Path], object], flag: str
) -> None:
    write(root / name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = convert_file(BidsCorpus(), root, NAME, tmp_path / "spool")
    assert isinstance(done, Converted), done
    assert flag in done.facts["flags"]
    assert done.events == []
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 400 << 20


def test_side_files_within_bounds_get_in(root: Path, tmp_path: Path) -> None:
    columns = "".join(f"\tc{k}" for k in range(500))
    (root / EVENTS).write_text(f"onset\tduration{columns}\n1\t0{columns}\n")
    (root / EEG_JSON).write_text(json.dumps({"Deep": [[[[1]]]], "Other": float("nan"), "Long": 10**300}))
    done = convert_file(BidsCorpus(), root, NAME, tmp_path / "spool")
    assert isinstance(done, Converted), done
    assert done.events[0]["c499"] == "c499"


@pytest.mark.parametrize("write", [fifo, socket_at, device])
def test_what_is_no_regular_file_is_one_row_of_ingestion(tmp_path: Path, write: Callable[[Path], None]) -> None:
    raw = write_corpus(tmp_path / "raw")
    write(raw / "x_1.edf")
    done = run_ingest(raw, tmp_path / "store", PARAMS.model_copy(update={"max_rejected_ratio": 0.5}))
    assert len(done.recordings) == 3
    [row] = done.rejected.to_dict("records")
    assert (row["path"], row["code"]) == ("x_1.edf", "no_regular_file")
    assert "no regular file" in row["reason"]


@pytest.mark.parametrize("layout", [BidsCorpus(), BidsCorpus(labels={"group": "text"})])
@pytest.mark.parametrize("name", ["participants.tsv", "participants.json", "SHA256SUMS.txt", ".eegfm_source.jsonl"])
def test_a_pipe_beside_the_persons_is_one_line(
    root: Path, layout: BidsCorpus, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a line of the log where nothing was asked of it: tables of labels without labels, descriptions of codes."""
    write_tree(root, {"participants.tsv": [("participant_id", "age", "group"), ("sub-01", "30", "a")]})
    (root / name).unlink(missing_ok=True)
    fifo(root / name)
    what = f"{name}: is a pipe, no regular file"
    if name == "participants.json" or (name == "participants.tsv" and layout == BidsCorpus()):
        layout.build("mine").index(root)
        assert what in caplog.text
    else:
        with pytest.raises(EegfmError, match=what):
            layout.build("mine").index(root)


def test_many_persons_are_fine_and_a_table_of_gigabytes_is_one_line(root: Path) -> None:
    table = root / "participants.tsv"
    table.write_text("participant_id\tage\n" + "".join(f"sub-{k:06d}\t30\n" for k in range(100_000)))
    assert len(read_participants(table).table) == 100_000
    os.truncate(table, 2 << 30)
    with pytest.raises(ValueError, match=r"it has 2147483648 bytes"):
        read_participants(table)


def test_quotes_that_never_end_take_no_time(tmp_path: Path) -> None:
    line = "\t".join('"x' for _ in range(1000))
    (tmp_path / "t.tsv").write_text("\t".join(f"c{k}" for k in range(1000)) + f"\n{line}\n" * 20)
    assert cells(line, "\t") == ['"x'] * 1000
    assert len(read_table(tmp_path / "t.tsv", ["c0"]).rows) == 20


LINE = {"path": "a_1.edf", "n_bytes": 3, "checksum": ""}


@pytest.mark.parametrize(
    "row",
    [
        "[" * 50_000, '{"path": "a"}', "[]", "3", json.dumps(LINE | {"more": 1}), json.dumps(LINE | {"path": 3}),
        json.dumps(LINE | {"n_bytes": "3"}), json.dumps(LINE | {"n_bytes": True}),
        json.dumps(LINE | {"checksum": None}),
        json.dumps(LINE | {"checksum": "shake_128:00"}), json.dumps(LINE | {"checksum": "md5:../x"}),
    ],
)  # fmt: skip
def test_a_list_of_files_is_closed(tmp_path: Path, row: str) -> None:
    (tmp_path / ".eegfm_source.jsonl").write_text(f"{json.dumps(LINE)}\n{row}\n")
    with pytest.raises(EegfmError, match=r"\.eegfm_source\.jsonl: is no list of fetched files \(") as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 300
    assert list(published_files(json.dumps(LINE) + "\n")) == ["a_1.edf"]


@pytest.mark.parametrize("folder", [b"caf\xe9", b"plain"])
def test_a_name_that_is_no_utf8_is_an_excluded_row(tmp_path: Path, folder: bytes) -> None:
    raw = write_corpus(tmp_path / "raw")
    below = os.path.join(os.fsencode(raw), folder)
    os.mkdir(below)
    for name in (b"x\xff_1.edf", b"y_events.tsv", b"z\xff_events.tsv"):
        with open(os.path.join(below, name), "wb"):
            pass
    done = run_ingest(raw, tmp_path / "store")
    shown = f"{folder.decode('utf-8', 'backslashreplace')}/x\\xff_1.edf"
    [row] = done.file_outcomes[done.file_outcomes["path"] == shown].to_dict("records")
    assert (row["outcome"], row["why"]) == ("excluded", "its name is no UTF-8; rename it or its folder")
    assert len(done.recordings) == 3
    done.file_outcomes.to_parquet(tmp_path / "x.parquet")
    raw_files = PARAMS.corpus.build("tones").index(raw)
    raw_files.to_parquet(tmp_path / "y.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "y.parquet"), raw_files, check_dtype=False)


def test_a_file_that_is_called_like_an_escaped_name(tmp_path: Path) -> None:
    raw = write_corpus(tmp_path / "raw")
    for name in (b"x\xff.edf", b"x\\xff.edf"):
        with open(os.path.join(os.fsencode(raw), name), "wb"):
            pass
    assert len(run_ingest(raw, tmp_path / "store").file_outcomes) == 5


def test_folders_that_all_lead_to_each_other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eegfm.corpora.raw_listing.MAX_LINKED_FOLDERS", 500)
    raw = write_corpus(tmp_path / "raw")
    for name in "abcdefghijkl":
        (raw / name).mkdir()
        for other in "abcdefghijkl".replace(name, ""):
            (raw / name / other).symlink_to(raw / other)
    with pytest.raises(EegfmError, match="links lead to more than 500 folders"):
        EdfFolderCorpus(pattern="{subject}_{run}.edf").build("tones").index(raw)


def test_folders_that_contain_themselves(tmp_path: Path) -> None:
    raw = write_corpus(tmp_path / "raw")
    (raw / "a").mkdir()
    (raw / "a" / "up").symlink_to(raw)
    (raw / "a" / "self").symlink_to(raw / "a" / "self")
    (raw / "loop.edf").symlink_to(raw / "loop.edf")
    corpus: Corpus = EdfFolderCorpus(pattern="{subject}_{run}.edf").build("tones")
    assert [p for p in corpus.index(raw)["path"] if p.endswith("_1.edf") or "loop" in p] == [
        "a_1.edf", "b_1.edf", "loop.edf"
    ]  # fmt: skip
