"""Rows of a table of labels: what two rows of one id agree on, and what is doubtful where it is asked for."""

import logging
from pathlib import Path

import pytest

from bids_tree import Table, write_tree
from eegfm.corpora.label_rows import LabelRows, read_label_rows, refuse_doubtful, say_faults
from eegfm.errors import EegfmError


def read(root: Path, table: Table) -> LabelRows:
    return read_label_rows(write_tree(root, {"t.tsv": table}) / "t.tsv", "id", id_of=str.lower)


TWICE = [("id", "age", "group"), ("A", 30, "n/a"), ("b", 31, "x"), ("a", 30, "y"), ("B", 32, "x"), ("b", 31, "z")]


def test_rows_of_one_id_are_one_as_far_as_they_agree(tmp_path: Path) -> None:
    rows = read(tmp_path, TWICE)
    assert (rows.ids, rows.lines) == (["a", "b"], [2, 3])
    assert rows.table.to_numpy().tolist() == [["30", "y"], [None, None]]
    assert [(c.id, c.column, c.values, c.lines) for c in rows.conflicts] == [
        ("b", "age", ("31", "32"), (3, 5)),
        ("b", "group", ("x", "z"), (3, 6)),
    ]
    assert rows.flags_of(["age"]) == ["", "rows_disagree:age"]
    assert rows.flags_of(["age", "group"]) == ["", "rows_disagree:age rows_disagree:group"]


def test_what_is_asked_for_must_be_beyond_doubt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = read(tmp_path, TWICE)
    refuse_doubtful(rows, [])
    with pytest.raises(EegfmError, match=r"t\.tsv: group of b is 'x' in line 3 and 'z' in line 6; keep one row"):
        refuse_doubtful(rows, ["group"])
    with caplog.at_level(logging.WARNING):
        say_faults(rows)
    assert "1 persons or files have rows that differ" in caplog.text


@pytest.mark.parametrize("line", [("A", 30, "x", "y"), ("A",), ("n/a", 30, "x")])
def test_lines_of_nobody(tmp_path: Path, line: tuple[object, ...], caplog: pytest.LogCaptureFixture) -> None:
    rows = read(tmp_path, [("id", "age", "group"), line, ("b", 31, "x")])
    assert (rows.ids, rows.odd_lines, rows.flags) == (["b"], [2], ("side_file_rows_left_out:t.tsv:1",))
    refuse_doubtful(rows, [])
    with pytest.raises(EegfmError, match=r"line 2 has another number of fields than the header, or names nobody"):
        refuse_doubtful(rows, ["group"])
    with caplog.at_level(logging.WARNING):
        say_faults(rows)
    assert "1 lines have another number of fields than the header, or name nobody" in caplog.text


def test_a_column_twice_matters_where_it_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = read(tmp_path, [("id", "group", "group", "age"), ("a", "x", "x", 30), ("b", "x", "y", 31)])
    assert list(rows.table) == ["age"]
    refuse_doubtful(rows, ["age"])
    with pytest.raises(EegfmError, match="column group stands twice, and its values differ in line 3; keep one"):
        refuse_doubtful(rows, ["group"])
    with caplog.at_level(logging.WARNING):
        say_faults(rows)
    assert "column group stands twice and differs in line 3; it is left out" in caplog.text
