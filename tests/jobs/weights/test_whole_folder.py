"""Folders appear whole or not at all."""

from pathlib import Path

import pytest

from eegfm.jobs.weights.whole_folder import whole_folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def write_and_fail(folder: Path, error: type[BaseException]) -> None:
    with whole_folder(folder) as new:
        (new / "second").write_text("")
        raise error


def test_a_folder_replaces_what_was_there(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with whole_folder(tmp_path / "deep" / "x") as new:
            (new / name).write_text(name)
        assert names(tmp_path / "deep" / "x") == [name]
    assert names(tmp_path / "deep") == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_folder(tmp_path / "x"):
        raise error
    assert names(tmp_path) == []
    with whole_folder(tmp_path / "x") as new:
        (new / "first").write_text("")
    with pytest.raises(error):
        write_and_fail(tmp_path / "x", error)
    assert names(tmp_path) == ["x"]
    assert names(tmp_path / "x") == ["first"]


def test_what_a_killed_run_left_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 7)
    (tmp_path / ".x.7.tmp" / "half").mkdir(parents=True)
    with whole_folder(tmp_path / "x") as new:
        (new / "first").write_text("")
    assert names(tmp_path) == ["x"]
    assert names(tmp_path / "x") == ["first"]


def test_a_file_in_place_of_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(NotADirectoryError, match="/x"), whole_folder(tmp_path / "x"):
        raise AssertionError("not reached")
    assert (tmp_path / "x").read_text() == "mine"
    assert names(tmp_path) == ["x"]
