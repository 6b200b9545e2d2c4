"""The book of looks: every new look is written down once, also by two processes at once."""

import multiprocessing
from pathlib import Path

import pandas as pd
import pytest

from eegfm.errors import DamageError
from eegfm.evaluation.ledger import Ledger, test_set_of, window_hash

# Its name makes pytest take it for a test.
test_set_of.__test__ = False  # type: ignore[attr-defined]


def test_counts_the_looks_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "book")
    assert [ledger.look("eyes", run, "probe", "hbn.eyes") for run in ("a", "b", "c")] == [0, 1, 2]
    assert ledger.look("age", "a", "probe", "hbn.age") == 0
    assert [(look.test_set, look.run) for look in ledger.looks()] == [("eyes", x) for x in "abc"] + [("age", "a")]
    assert all(look.date.endswith("+00:00") for look in ledger.looks())


def test_the_same_run_again_is_no_new_look_and_says_what_it_said(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for run in ("a", "b", "c"):
        ledger.look("eyes", run, "probe", "hbn.eyes")
    assert [ledger.look("eyes", run, "probe", "hbn.eyes") for run in ("a", "b", "c")] == [0, 1, 2]
    assert len(ledger.looks()) == 3
    assert ledger.look("eyes", "d", "probe", "hbn.eyes") == 3


def test_a_forced_look_counts_and_stays_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.look("eyes", "a", "finetune", "hbn.eyes", again=True) == 0
    assert ledger.look("eyes", "a", "finetune", "hbn.eyes", again=True) == 1
    assert ledger.look("eyes", "a", "finetune", "hbn.eyes") == 1
    assert ledger.look("eyes", "b", "finetune", "hbn.eyes") == 2


def test_a_damaged_book_is_refused(tmp_path: Path) -> None:
    for text in ("{", '[{"run": "a"}]', "[1]"):
        (tmp_path / "looks.json").write_text(text)
        with pytest.raises(DamageError, match=r"looks\.json: not readable .*put a copy back"):
            Ledger(tmp_path).look("eyes", "a", "probe", "hbn.eyes")
        assert (tmp_path / "looks.json").read_text() == text


def _looks(folder: Path, who: str, n: int) -> None:
    for k in range(n):
        Ledger(folder).look("eyes", f"{who}{k}", "probe", "hbn.eyes")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_looks, args=(tmp_path, who, 15)) for who in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert sorted(look.run for look in Ledger(tmp_path).looks()) == sorted(
        f"{who}{k}" for who in "abc" for k in range(15)
    )


def _windows() -> pd.DataFrame:
    columns = {"corpus": "hbn", "cut": "eyes", "identity": ["p", "q", "q"], "recording_id": ["r", "s", "s"]}
    return pd.DataFrame(columns | {"start": [0, 0, 200], "n_samples": 200})


def test_a_test_set_is_its_persons_and_what_they_are_asked() -> None:
    own = test_set_of(_windows())
    assert own == test_set_of(_windows().iloc[::-1]) == test_set_of(_windows().iloc[:2]), "whatever their windows"
    others = [_windows().assign(cut="age"), _windows().assign(corpus="tuh"), _windows().iloc[1:]]
    assert len({own, *map(test_set_of, others)}) == 4


def test_windows_have_one_hash_by_recording_start_and_length() -> None:
    own = window_hash(_windows())
    assert own == window_hash(_windows().assign(identity="x"))
    others = [_windows().assign(start=1), _windows().assign(n_samples=1), _windows().assign(recording_id="t")]
    assert len({own, *map(window_hash, others)}) == 4
