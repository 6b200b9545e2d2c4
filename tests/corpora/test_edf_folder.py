"""A folder of EDF or BDF files, as the published folders of eegmat and eegmmidb are laid out."""

from pathlib import Path

import pytest

from eegfm.corpora.config import EdfFolderCorpus


def test_reference_is_the_users_or_left_to_the_labels() -> None:
    assert EdfFolderCorpus().build("x").reference is None
    assert EdfFolderCorpus(reference="linked_ears").build("x").reference == "linked_ears"


def test_both_formats_count(tmp_path: Path) -> None:
    for name in ("a.edf", "b.bdf", "c.set"):
        (tmp_path / name).write_bytes(b"")
    table = EdfFolderCorpus(pattern="{subject}.{task}").build("x").index(tmp_path)
    assert table["path"].tolist() == ["a.edf", "b.bdf"]


@pytest.mark.parametrize(
    ("folder", "pattern", "subjects", "runs"),
    [
        ("eegmat", "Subject{subject}_{run}.edf", {"04", "05", "06", "08", "13", "14"}, {"1", "2"}),
        (
            "eegmmidb",
            "S{subject}/S{subject}R{run}.edf",
            {"001", "002", "003", "004", "038", "040"},
            {"01", "02", "03", "04", "06"},
        ),
    ],
)
def test_real_folders(shared_data: Path, folder: str, pattern: str, subjects: set[str], runs: set[str]) -> None:
    root = shared_data / folder
    if not root.is_dir():
        pytest.skip(f"real recordings are not here: {root} does not exist")
    table = EdfFolderCorpus(pattern=pattern).build(folder).index(root)
    assert set(table["subject"]) == subjects
    assert set(table["run"]) == runs
    assert table["recording_id"].is_unique
    assert len(table) == len(list(root.rglob("*.edf")))
