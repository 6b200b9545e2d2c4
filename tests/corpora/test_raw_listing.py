"""Folders and files that this user may not look at are rows, in every layout."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eegfm.corpora import raw_listing
from eegfm.corpora.config import BidsCorpus, CorpusConfig, EdfFolderCorpus, HbnCorpus, TuhCorpus
from eegfm.corpora.raw_listing import NOT_SEEN, raw_files_below
from tone_corpus import PARAMS, run_ingest, write_corpus

MANY = PARAMS.model_copy(update={"max_rejected_ratio": 0.5})
LAYOUTS: dict[str, tuple[CorpusConfig, str, str]] = {
    "edf_folder": (EdfFolderCorpus(pattern="{subject}/{run}.edf"), "a/1.edf", "b/1.edf"),
    "tuh": (TuhCorpus(), "edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf", "edf/eval/x.edf"),
    "bids": (BidsCorpus(), "sub-1/eeg/sub-1_task-x_eeg.edf", "sub-2/eeg/sub-2_task-x_eeg.edf"),
    "hbn": (HbnCorpus(), "sub-NDARAA1/eeg/sub-NDARAA1_task-RestingState_eeg.bdf", "sub-2/eeg/x.bdf"),
}


def denied(path: object) -> PermissionError:
    return PermissionError(errno.EACCES, "Permission denied", str(path))


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Take the right to read a folder away. Tests run as root too, whom the system lets read everything."""

    def hidden(folder: Path) -> None:
        def scandir(path: Path) -> Any:
            if Path(path) == folder:
                raise denied(path)
            return os.scandir(path)

        monkeypatch.setattr(raw_listing, "scandir", scandir)

    return hidden


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_that_cannot_be_read_is_a_row(
    name: str, tmp_path: Path, hide: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    layout, open_path, hidden_path = LAYOUTS[name]
    for path in (open_path, hidden_path):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    folder = (tmp_path / hidden_path).parent
    hide(folder)
    table = layout.build("mine").index(tmp_path).set_index("path")
    shown = folder.relative_to(tmp_path).as_posix()
    assert set(table.index) == {open_path, shown}
    row = table.loc[shown]
    assert (row["n_bytes"], row["excluded"], row["subject"], row["recording_id"]) == (NOT_SEEN, "", "", f"mine:{shown}")
    assert f"{folder}: the folder cannot be read (Permission denied); it becomes a row of rejected" in caplog.messages


def test_the_raw_folder_itself_must_be_readable(tmp_path: Path, hide: Callable[[Path], None]) -> None:
    (tmp_path / "a.edf").touch()
    hide(tmp_path)
    with pytest.raises(PermissionError):
        list(raw_files_below(tmp_path, (".edf",)))


def test_its_recordings_are_rejected_with_a_reason_and_come_back(tmp_path: Path, hide: Callable[[Path], None]) -> None:
    root = write_corpus(tmp_path / "raw")
    (root / "locked").mkdir()
    hide(root / "locked")
    done = run_ingest(root, tmp_path / "signals", MANY)
    locked = done.rejected.set_index("path").loc["locked"]
    assert (locked["code"], locked["reason"]) == (
        "not_readable",
        "locked: this user may not read it, nor what is in it",
    )
    assert locked["remedy"] == "give this user the right to read it, and run again"
    outcomes = done.file_outcomes.set_index("path")["outcome"]
    assert outcomes["locked"] == "rejected"
    hide(tmp_path)
    again = run_ingest(root, tmp_path / "signals", MANY)
    assert "locked" not in set(again.rejected["path"])
    assert len(again.recordings) == len(done.recordings)


class Entry:
    """A file in a folder whose names can be read, and nothing else."""

    name, path = "a.edf", "a.edf"

    def is_dir(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        raise denied(self.path)


def test_a_file_that_cannot_be_looked_at_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Listing(list[Entry]):
        def __enter__(self) -> "Listing":
            return self

        def __exit__(self, *args: object) -> None: ...

    monkeypatch.setattr(raw_listing, "scandir", lambda path: Listing([Entry()]))
    assert list(raw_files_below(tmp_path, (".edf",))) == [("a.edf", NOT_SEEN, 0)]


def test_the_folder_of_a_file_system_check_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "a.edf").touch()
    assert list(raw_files_below(tmp_path, (".edf",))) == []


def test_a_folder_of_which_nothing_can_be_read_is_rows(tmp_path: Path, hide: Callable[[Path], None]) -> None:
    (tmp_path / "raw" / "a").mkdir(parents=True)
    hide(tmp_path / "raw" / "a")
    [row] = EdfFolderCorpus(pattern="{subject}/{run}.edf").build("mine").index(tmp_path / "raw").to_dict("records")
    assert (row["path"], row["n_bytes"], row["excluded"]) == ("a", NOT_SEEN, "")
