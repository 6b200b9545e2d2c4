"""The book of looks: every new look is written down once, also by two processes at once."""

import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import DamageError
from eegfm.evaluation.ledger import AskedPersons, Ledger, asked_persons, window_hash


def asked(cut: str = "eyes", persons: str = "pqr", corpus: str = "hbn") -> AskedPersons:
    return asked_persons(_windows(persons, cut, corpus))


def look(folder: Path, run: str, test_set: AskedPersons | None = None, *, again: bool = False) -> int:
    return Ledger(folder).look(test_set or asked(), run, "probe", "hbn.eyes", again=again)


def test_counts_the_looks_before(tmp_path: Path) -> None:
    folder = tmp_path / "book"
    assert [look(folder, run) for run in ("a", "b", "c")] == [0, 1, 2]
    assert look(folder, "a", asked("age")) == 0
    looks = Ledger(folder).looks()
    assert [(one.test_set, one.run) for one in looks] == [(asked().name, x) for x in "abc"] + [(asked("age").name, "a")]
    assert all(one.date.endswith("+00:00") for one in looks)


def test_the_same_run_again_is_no_new_look_and_says_what_it_said(tmp_path: Path) -> None:
    for run in ("a", "b", "c"):
        look(tmp_path, run)
    assert [look(tmp_path, run) for run in ("a", "b", "c")] == [0, 1, 2]
    assert len(Ledger(tmp_path).looks()) == 3
    assert look(tmp_path, "d") == 3


def test_a_forced_look_counts_and_stays_counted(tmp_path: Path) -> None:
    assert look(tmp_path, "a", again=True) == 0
    assert look(tmp_path, "a", again=True) == 1
    assert look(tmp_path, "a") == 1
    assert look(tmp_path, "b") == 2


def test_persons_are_known_in_every_test_set_that_they_are_in(tmp_path: Path) -> None:
    """One person less or more, or a renamed cut, makes no fresh test set; other persons or questions do."""
    assert [look(tmp_path, run) for run in ("a", "b")] == [0, 1]
    others = [asked(persons="pq"), asked(persons="pqrs"), asked(persons="pxyz"), asked("again"), asked("again", "qr")]
    for k, other in enumerate(others):
        copy = shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name} {k}"))
        assert look(copy, "c", other) == 2
        assert look(copy, "c") == 3, "and the first set as often as the one of its persons who was looked at most often"
    for fresh in (asked(persons="xyz"), asked("age"), asked(corpus="tuh"), asked("no_answers")):
        assert look(tmp_path, "c", fresh) == 0


def test_a_book_of_an_earlier_version_counts_whole_test_sets(tmp_path: Path) -> None:
    old = {
        "test_set": asked().name,
        "run": "a",
        "step": "probe",
        "task": "hbn.eyes",
        "date": "2026-11-01T00:00:00+00:00",
    }
    (tmp_path / "looks.json").write_text(json.dumps([old, {**old, "run": "b"}]))
    assert look(tmp_path, "b") == 1
    assert look(tmp_path, "c", asked(persons="pq")) == 0, "it does not say who its persons are"
    assert look(tmp_path, "c") == 3
    assert [one.run for one in Ledger(tmp_path).looks()] == ["a", "b", "c", "c"]


def test_a_damaged_book_is_refused(tmp_path: Path) -> None:
    sets = '{"test_sets": [], "looks": []}'
    for text in ("{", '[{"run": "a"}]', "[1]", "3", "{}", '{"looks": []}', sets):
        (tmp_path / "looks.json").write_text(text)
        with pytest.raises(DamageError, match=r"looks\.json: not readable .*put a copy back"):
            look(tmp_path, "a")
        assert (tmp_path / "looks.json").read_text() == text


def _looks(folder: Path, who: str, n: int) -> None:
    for k in range(n):
        look(folder, f"{who}{k}")


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_looks, args=(tmp_path, who, 15)) for who in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert sorted(one.run for one in Ledger(tmp_path).looks()) == sorted(
        f"{who}{k}" for who in "abc" for k in range(15)
    )


def _windows(persons: str = "pqr", cut: str = "eyes", corpus: str = "hbn") -> pd.DataFrame:
    """Two windows per person: eyes, open in one of them; an age; or nothing."""
    rows = [
        {"corpus": corpus, "cut": cut, "identity": person, "recording_id": f"r{person}",
         "start": 200 * k, "n_samples": 200,
         "label": None if cut in ("age", "no_answers") else ("closed", "open")[k],
         "target": float(ord(person)) if cut == "age" else np.nan}
        for person in persons for k in range(2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_test_set_is_its_persons_and_what_they_are_asked() -> None:
    own = asked_persons(_windows())
    assert own.name == asked_persons(_windows().iloc[::-1]).name == asked_persons(_windows().iloc[::2]).name
    assert len({own.name, *(one.name for one in (asked("age"), asked(corpus="tuh"), asked(persons="qr")))}) == 4
    assert asked("age").persons.keys() == own.persons.keys()
    assert len({*own.persons.values()}) == 1
    assert len({*asked("age").persons.values()}) == 3
    assert {*asked("no_answers").persons.values()} == {""}


def test_answers_of_several_outputs_tell_a_question_too() -> None:
    several = _windows().assign(label=None, targets=[np.array([k % 2, 1.0], dtype=np.float32) for k in range(6)])
    own, other = asked_persons(several.assign(cut="a")), asked_persons(several.assign(cut="b"))
    assert own.in_common(other) == set(own.persons)
    changed = several.assign(targets=[value + 1 for value in several["targets"]])
    assert own.in_common(asked_persons(changed.assign(cut="b"))) == set()
    assert own.in_common(asked_persons(changed.assign(cut="a"))) == set(own.persons), "a cut that was cut anew"


@pytest.mark.parametrize(("n_changed", "n_common"), [(0, 10), (1, 10), (2, 0)])
def test_nearly_all_persons_have_the_same_answers_in_a_renamed_cut(n_changed: int, n_common: int) -> None:
    ages = _windows("abcdefghij", "age")
    changed = ages["target"].mask(ages["identity"].isin([*"abcdefghij"[:n_changed]]), 7.0)
    assert (
        len(asked("age", "abcdefghij").in_common(asked_persons(ages.assign(cut="age_b", target=changed)))) == n_common
    )


def test_windows_have_one_hash_by_recording_start_and_length() -> None:
    own = window_hash(_windows())
    assert own == window_hash(_windows().assign(identity="x"))
    others = [_windows().assign(start=1), _windows().assign(n_samples=1), _windows().assign(recording_id="t")]
    assert len({own, *map(window_hash, others)}) == 4
