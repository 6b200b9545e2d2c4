"""Raw files become present: simulated ones are written once, real ones are only looked for."""

import logging
from pathlib import Path

import pytest

from eegfm.corpora.config import AcquireParams
from eegfm.corpora.simulated.config import SimulatedTuh
from eegfm.errors import EegfmError
from eegfm.jobs.acquire import acquire

TINY = AcquireParams(source=SimulatedTuh(n_subjects=1, duration_s=4))


def test_folder_is_handed_on_untouched(tmp_path: Path) -> None:
    (tmp_path / "a.edf").write_bytes(b"x")
    assert acquire(AcquireParams(), "mine", tmp_path) == tmp_path
    assert [p.name for p in tmp_path.iterdir()] == ["a.edf"]


def test_missing_folder_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        EegfmError, match=r"mine: raw folder .*/gone does not exist; .* catalog entries mine\.raw_folder"
    ):
        acquire(AcquireParams(), "mine", tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_simulated_files_are_written_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="eegfm"):
        assert acquire(TINY, "tuh", tmp_path / "raw") == tmp_path / "raw"
        stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "raw").rglob("*.edf")}
        assert len(stamps) == 1
        acquire(TINY, "tuh", tmp_path / "raw")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "raw").rglob("*.edf")} == stamps
    assert len([m for m in caplog.messages if "tuh: writing SIMULATED recordings to" in m]) == 1


def test_other_parameters_write_anew(tmp_path: Path) -> None:
    acquire(TINY, "tuh", tmp_path)
    acquire(AcquireParams(source=SimulatedTuh(n_subjects=3, duration_s=4, two_sessions_ratio=0)), "tuh", tmp_path)
    assert len(list(tmp_path.rglob("*.edf"))) == 3


def test_foreign_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.edf").write_bytes(b"precious")
    with pytest.raises(EegfmError):
        acquire(TINY, "tuh", tmp_path)
    assert (tmp_path / "mine.edf").read_bytes() == b"precious"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.edf"]
