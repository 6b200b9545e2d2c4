"""Side files whose name is not that of a recording."""

import re
from pathlib import Path

import pytest

from bids_tree import write_tree
from eegfm.corpora.config import BidsCorpus, HbnCorpus

STEM = "sub-01/eeg/sub-01_task-rest_run-1"
USED = {
    f"{STEM}_eeg.edf": b"",
    f"{STEM}_events.tsv": "onset\tduration\n",
    "sub-01/sub-01_task-rest_channels.tsv": "name\n",
    "task-rest_eeg.json": {},
    "participants.tsv": "participant_id\nsub-01\n",
    "derivatives/clean/sub-01/eeg/sub-01_task-rest_run-1_events.tsv": "onset\n",
    "sub-01/meg/sub-01_task-rest_events.tsv": "onset\n",
    "sub-01/eeg/sub-01_space-other_electrodes.tsv": "name\n",
}


def test_side_files_of_a_recording_are_no_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    BidsCorpus().build("c").index(write_tree(tmp_path, USED))
    assert "side files" not in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        f"{STEM}_Events.tsv",
        f"{STEM}_events.TSV",
        "sub-01/eeg/sub-01_task-rest_run-01_events.tsv",
        "sub-01/sub-01_run-2_channels.tsv",
        "task-Rest_eeg.json",
        "Participants.tsv",
        "sub-01/eeg/participants.tsv",
    ],
)
def test_side_files_of_no_recording_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    BidsCorpus().build("c").index(write_tree(tmp_path, {**USED, name: "onset\n"}))
    assert re.search(rf"1 side files belong to no recording and are not read \([a-z.]+ 1\), e.g. {name};", caplog.text)


def test_hbn_says_them_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stem = "R5/sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState"
    HbnCorpus().build("hbn").index(write_tree(tmp_path, {f"{stem}_eeg.bdf": b"", f"{stem}_events.tsv": "onset\n"}))
    assert "side files" not in caplog.text
    write_tree(tmp_path, {f"{stem}_run-1_events.tsv": "onset\n"})
    HbnCorpus().build("hbn").index(tmp_path)
    assert f"are not read (events.tsv 1), e.g. {stem}_run-1_events.tsv" in caplog.text
