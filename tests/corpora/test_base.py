"""Behaviour of every corpus: listing files, naming recordings, refusing folders that cannot be meant."""

import hashlib
import logging
import os
import sys
from pathlib import Path

import pytest

from eegfm.corpora.base import RAW_FILE_COLUMNS, Corpus
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus, HbnCorpus, TuhCorpus
from eegfm.corpora.manifest import KnownFile, published_files
from eegfm.corpora.raw_listing import raw_files_below
from eegfm.errors import EegfmError
from eegfm.signal.header import Annotation, RecordingHeader, Segment


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x" * len(path))


def corpus(pattern: str = "{subject}_{run}.edf") -> Corpus:
    built: Corpus = EdfFolderCorpus(pattern=pattern).build("mine")
    return built


def test_index_lists_files_in_path_order_with_their_identity(tmp_path: Path) -> None:
    touch(tmp_path, "b_1.edf", "a_2.EDF", "a_1.edf", ".hidden.edf", ".git/c_1.edf", "notes.txt")
    (tmp_path / "a_2.EDF").rename(tmp_path / "a_2.edf")
    os.utime(tmp_path / "b_1.edf", ns=(5, 1234567890123456789))
    table = corpus().index(tmp_path)
    assert table["path"].tolist() == ["a_1.edf", "a_2.edf", "b_1.edf"]
    assert table["recording_id"].tolist() == ["mine:a_1", "mine:a_2", "mine:b_1"]
    assert table["subject"].tolist() == ["a", "a", "b"]
    assert table["run"].tolist() == ["1", "2", "1"]
    assert (table[["session", "bids_task", "official_split", "sidecars"]] == "").all(axis=None)
    assert table["n_bytes"].tolist() == [7, 7, 7]
    assert table["mtime_ns"].iloc[2] == 1234567890123456789
    assert table.dtypes.astype(str).to_dict() == RAW_FILE_COLUMNS


def test_same_name_in_two_folders_gives_two_ids(tmp_path: Path) -> None:
    touch(tmp_path, "x/a_1.edf", "y/a_1.edf", "y/b_1.edf")
    table = EdfFolderCorpus(pattern="{session}/{subject}_{run}.edf").build("mine").index(tmp_path)
    assert table["recording_id"].tolist() == ["mine:x/a_1.edf", "mine:y/a_1.edf", "mine:b_1"]


@pytest.mark.parametrize(
    ("config", "paths", "said"),
    [
        (
            EdfFolderCorpus(pattern="S{subject}/S{subject}_{session}_{task}_{run}.edf"),
            ["S2/S2_a_rest_1.edf", "S2/S2_a_rest_2.edf", "S1/S1_a_rest_1.edf", "other.edf"],
            "3 files of 2 persons; S1/S1_a_rest_1.edf -> subject 1, session a, task rest, run 1",
        ),
        # A pattern that makes a person of every file.
        (EdfFolderCorpus(), ["p1_1.edf", "p1_2.edf"], "2 files of 2 persons; p1_1.edf -> subject p1_1"),
        (
            BidsCorpus(),
            ["sub-01/eeg/sub-01_task-x_eeg.edf", "sub-02/ses-1/eeg/sub-02_ses-1_task-x_run-3_eeg.set"],
            "2 files of 2 persons; sub-02/ses-1/eeg/sub-02_ses-1_task-x_run-3_eeg.set -> subject 02, session 1, "
            "task x, run 3",
        ),
        (
            HbnCorpus(),
            ["sub-NDARAA/eeg/sub-NDARAA_task-RestingState_eeg.bdf"],
            "1 files of 1 persons; sub-NDARAA/eeg/sub-NDARAA_task-RestingState_eeg.bdf -> subject NDARAA, "
            "task RestingState",
        ),
        (
            TuhCorpus(),
            ["edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf"],
            "1 files of 1 persons; edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf -> subject aaaaaaab, "
            "session s001, run t000",
        ),
    ],
)
def test_the_log_says_how_many_persons_there_are_and_how_a_path_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, config: CorpusConfig, paths: list[str], said: str
) -> None:
    touch(tmp_path, *paths)
    with caplog.at_level(logging.INFO):
        config.build("mine").index(tmp_path)
    assert f"mine: {said}" in caplog.messages


def test_foreign_files_are_rows_that_say_why_they_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a_1.edf", "other/readme.edf", "z.edf")
    table = corpus().index(tmp_path)
    assert table["path"].tolist() == ["a_1.edf", "other/readme.edf", "z.edf"]
    foreign = "not in the layout, expected names like {subject}_{run}.edf"
    assert table["excluded"].tolist() == ["", foreign, foreign]
    assert table["subject"].tolist() == ["a", "", ""]
    assert table["recording_id"].is_unique
    tuh = TuhCorpus().build("tuh")
    touch(tmp_path, "edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf")
    assert tuh.index(tmp_path)["pathology"].tolist() == ["", "normal", "", ""]


def test_published_sizes_and_checksums_stand_beside_their_files(tmp_path: Path) -> None:
    touch(tmp_path, "a_1.edf", "b/c_1.edf", "d_1.edf")
    digest = hashlib.sha256(b"x" * 7).hexdigest()
    (tmp_path / "SHA256SUMS.txt").write_text(f"{digest} a_1.edf\n{digest.upper()} *./b/c_1.edf\n\n{digest}  gone.edf\n")
    table = EdfFolderCorpus(pattern="{session}/{subject}_{run}.edf").build("mine").index(tmp_path)
    known = [published_files(text) for text in table["published"]]
    file = KnownFile(checksum=f"sha256:{digest}")
    assert known == [{"a_1.edf": file}, {"b/c_1.edf": file}, {}]


def test_folders_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        EegfmError, match=r"mine: raw folder .*/gone does not exist; set the catalog entries mine\.raw_folder"
    ):
        corpus().index(tmp_path / "gone")
    with pytest.raises(EegfmError, match=r"holds no \.edf \.bdf file; expected are files like \{subject\}"):
        corpus().index(tmp_path)
    touch(tmp_path, "wrong.edf")
    with pytest.raises(
        EegfmError,
        match=r"holds 1 \.edf \.bdf files, none in the layout of mine\.ingest\.corpus, e\.g\. wrong\.edf; expected",
    ):
        corpus().index(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(EegfmError, match="does not exist"):
        corpus().index(tmp_path / "file")


def test_link_to_content_that_is_not_fetched_is_listed(tmp_path: Path) -> None:
    """It is rejected when it is read, with its path, and read again once the content is there."""
    (tmp_path / "a_1.edf").symlink_to(tmp_path / "annex" / "a_1.edf")
    before = corpus().index(tmp_path)
    assert before["path"].tolist() == ["a_1.edf"]
    touch(tmp_path, "annex/a_1.edf")
    assert corpus().index(tmp_path / "")["n_bytes"].tolist() != before["n_bytes"].tolist()


def test_a_link_to_itself_is_listed(tmp_path: Path) -> None:
    """As any link that leads nowhere: one bad link must not cost the whole folder."""
    (tmp_path / "a_1.edf").symlink_to("a_1.edf")
    touch(tmp_path, "b_1.edf")
    assert corpus().index(tmp_path)["path"].tolist() == ["a_1.edf", "b_1.edf"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_a_name_that_no_table_can_hold_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"\xff_1.edf"))
    with pytest.raises(EegfmError, match="is no name in UTF-8; rename"):
        corpus().index(tmp_path)


def test_events_are_the_files_own_annotations(tmp_path: Path) -> None:
    notes = (Annotation(1.5, float("nan"), "spike"), Annotation(2.0, 0.5, "T1"))
    header = RecordingHeader(("Cz",), ("uV",), 100.0, (100.0,), 400, (Segment(0, 400, 0.0),), annotations=notes)
    assert corpus().details(tmp_path / "x.edf", header).events == [
        {"onset_s": 1.5, "duration_s": None, "value": "spike"},
        {"onset_s": 2.0, "duration_s": 0.5, "value": "T1"},
    ]


def test_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "b" / "here").symlink_to(tmp_path / "a" / "b", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s1.edf").write_bytes(b"x")
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "a", target_is_directory=True)
    assert sorted(path for path, _, _ in raw_files_below(tmp_path, (".edf",))) == [
        "a/linked/s1.edf",
        "elsewhere/s1.edf",
    ]
