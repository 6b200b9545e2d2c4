"""The book of looks at test sets."""

from pathlib import Path

import pandas as pd
import pytest
from eegfm.jobs.finetune.ledger import Ledger

from eegfm.errors import DamageError
from eegfm.jobs.finetune import ledger as book


def test_looks_before_are_counted_of_the_same_persons_only(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "book")
    assert ledger.n_before("persons", "first") == 0
    ledger.add("persons", "first", "finetune", "hbn.eyes")
    ledger.add("others", "second", "finetune", "hbn.age")
    assert ledger.n_before("persons", "second") == 1
    ledger.add("persons", "second", "finetune", "hbn.age")
    assert [ledger.n_before("persons", run) for run in ("first", "second", "third")] == [0, 1, 2]


def test_a_run_that_looks_again_counts_its_own_first_look(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for _ in range(2):
        ledger.add("persons", "same", "finetune", "hbn.eyes")
    assert ledger.n_before("persons", "same") == 1
    assert [(look.run, look.step, look.task) for look in ledger.looks()] == [("same", "finetune", "hbn.eyes")] * 2
    assert all(look.date.endswith("+00:00") for look in ledger.looks())


def test_a_book_that_cannot_be_read_is_no_empty_book(tmp_path: Path) -> None:
    (tmp_path / "looks.json").write_text('[{"test_set": "a"}]')
    with pytest.raises(DamageError, match=r"looks\.json: not readable .* put a copy back, or move it away"):
        Ledger(tmp_path).n_before("a", "b")


def test_a_test_set_is_its_persons_and_their_corpus() -> None:
    windows = pd.DataFrame({"corpus": "hbn", "identity": ["a", "b", "a"], "start": [0, 1, 2]})
    name = book.test_set_of(windows)
    assert name == book.test_set_of(windows.iloc[[1, 0]])
    assert name != book.test_set_of(windows.iloc[:1])
    assert name != book.test_set_of(windows.assign(corpus="tuh"))
