"""Tables as editors, spreadsheets and programs write them, against Python's own reader of separated text."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm.corpora.text_tables import cells, is_missing, read_table

WORD = st.text(st.characters(codec="utf-8", exclude_characters='\t\r\n"', exclude_categories=("Cf", "Cc")), max_size=6)
CELL = WORD.map(str.strip)
BLANKS = st.sampled_from(["", " ", "  ", "\u00a0", "\ufeff", "\u200b"])


@given(st.lists(st.tuples(BLANKS, CELL, BLANKS), min_size=1, max_size=5), st.sampled_from("\t,"))
def test_padding_means_nothing(padded: list[tuple[str, str, str]], separator: str) -> None:
    padded = [(before, cell.replace(separator, ""), after) for before, cell, after in padded]
    line = separator.join(f"{before}{cell}{after}" for before, cell, after in padded)
    assert cells(line, separator) == [cell.strip() for _, cell, _ in padded]


@given(
    st.lists(st.text("ab \t,\"'é", max_size=6).map(str.strip), min_size=1, max_size=5), st.sampled_from("\t,"), BLANKS
)
def test_quoted_cells_are_what_python_reads(row: list[str], separator: str, blanks: str) -> None:
    """Quotes as a spreadsheet writes them, and blanks outside of them."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="").writerow(row)
    assert cells(out.getvalue(), separator) == row
    padded = separator.join(f'{blanks}"{cell.replace(chr(34), chr(34) * 2)}"{blanks}' for cell in row)
    assert cells(padded, separator) == row


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('a\tsaid "x', ["a", 'said "x']),
        ('"a\tb', ['"a', "b"]),
        ('5"\t6"', ['5"', '6"']),
        ('"left "\t" "', ["left", ""]),
        ('"a\tb"\tc', ["a\tb", "c"]),
        ('""\t"n/a"', ["", "n/a"]),
        ('"say ""go"""', ['say "go"']),
    ],
)
def test_quotes_count_only_around_a_whole_cell(line: str, expected: list[str]) -> None:
    assert cells(line, "\t") == expected


@pytest.mark.parametrize("text", ["", " ", "n/a", "N/A", " n/a ", "N/a\u00a0", "\ufeff"])
def test_what_stands_for_none(text: str) -> None:
    assert is_missing(text)
    assert not is_missing(f"{text}x")


@pytest.mark.parametrize("text", ["na", "0", "nan", "-", "None"])
def test_what_is_a_value(text: str) -> None:
    assert not is_missing(text)


def test_names_count_in_any_case_and_are_spelt_in_one(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("NAME\tType \tMyOwn\n Cz\tEEG\tN/A\n", encoding="utf-8")
    assert read_table(path, ["name"], ["type", "units"]).rows == [{"name": "Cz", "type": "EEG", "MyOwn": None}]
    path.write_text("name\tName\ttype\nCz\tx\tEEG\n", encoding="utf-8")
    assert read_table(path, ["name"], ["type"]).rows == [{"name": "Cz", "Name": "x", "type": "EEG"}]


@pytest.mark.parametrize("header", ["a \ta", "A\tAA\tA", "\ufeff a\u00a0\ta", '"a"\ta'])
def test_names_that_blanks_quotes_or_case_made_different_are_one(tmp_path: Path, header: str) -> None:
    path = tmp_path / "t.tsv"
    n = header.count("\t") + 1
    path.write_text(f"{header}\n" + "\t".join("1" * n) + "\n", encoding="utf-8")
    assert [row["a"] for row in read_table(path, ["a"]).rows] == ["1"]
    path.write_text(f"{header}\n" + "\t".join("123"[:n]) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 must name a once"):
        read_table(path, ["a"])


def test_a_column_that_stands_twice_is_one_where_it_agrees(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\tb\tc\tc\n1\tx\tx\ty\ty\n2\tx\tx\ty\tz\n", encoding="utf-8")
    table = read_table(path, ["a"])
    assert table.rows == [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}]
    assert table.differing == {"c": 3}


def test_lines_with_another_number_of_fields_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\n1\t2\n3\n4\t5\t\t\n\n6\t7\t8\n\t\n9\t\n", encoding="utf-8")
    table = read_table(path, ["a"])
    assert [(line, *row.values()) for line, row in zip(table.lines, table.rows, strict=True)] == [
        *((2, "1", "2"), (4, "4", "5"), (8, "9", None))
    ]
    assert table.odd_lines == [3, 6]
