"""``participants.tsv`` as published data sets write it: names of columns, codes, units, and what is not understood."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bids_tree import Table, write_tree
from eegfm.corpora.bids_participants import column_of, numbers, persons, read_participants, with_columns
from eegfm.corpora.label_rows import say_faults
from eegfm.errors import EegfmError


def read(root: Path, table: Table, described: dict[str, Any] | str | None = None) -> pd.DataFrame:
    write_tree(root, {"participants.tsv": table, **({} if described is None else {"participants.json": described})})
    path = root / "participants.tsv"
    found = persons(read_participants(path)).drop(columns=["age_as_written", "sex_as_written"], errors="ignore")
    return found if "label_flags" in found else found.assign(label_flags="")


def test_participants(tmp_path: Path) -> None:
    table = [("participant_id", "age", "sex", "group"), ("sub-01", "89+", "Male", "A"), ("02", "n/a", "o", "n/a")]
    path = write_tree(tmp_path, {"participants.tsv": table}) / "participants.tsv"
    found = read_participants(path)
    assert (found.ids, found.lines) == (["01", "02"], [2, 3])
    assert found.table["group"].tolist() == ["A", None]
    np.testing.assert_array_equal(numbers(found, "age"), [89.0, math.nan])
    assert list(persons(found).columns) == ["subject", "age_years", "sex"]
    assert persons(found)["sex"].tolist() == ["M", ""]
    assert persons(found._replace(table=found.table.drop(columns="sex")))["sex"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\tage\nsub-A\t8\n", "line 1 must name participant_id once, it is 'id"),
        ("participant_id,age\nsub-A,8\n", "line 1 must name participant_id once"),
        ("old\tparticipant_id\tparticipant_id\nx\tsub-A\tCQ2\n", "line 1 must name participant_id once"),
        ("", "line 1 must name participant_id once, it is ''"),
    ],
)
def test_participants_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = write_tree(tmp_path, {"participants.tsv": text}) / "participants.tsv"
    with pytest.raises(ValueError, match=message):
        read_participants(path)


def test_texts_that_are_not_understood_are_kept_with_their_place(tmp_path: Path) -> None:
    table = [("participant_id", "sex", "age"), ("sub-1", "F", 30), ("sub-2", "w", "18-38"), ("sub-3", "n/a", "n/a")]
    path = write_tree(tmp_path, {"participants.tsv": table}) / "participants.tsv"
    found = persons(read_participants(path))
    assert found["age_as_written"].tolist() == ["", "'18-38' in line 3 of participants.tsv", ""]
    assert found["sex_as_written"].tolist() == ["", "'w' in line 3 of participants.tsv", ""]


def test_of_two_columns_of_ids_the_first_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As BIDS has it; a label that is asked for is an error all the same."""
    table = [("participant_id", "participant_id", "sex"), ("sub-01", "CQ2", "F"), ("sub-02", "BT4", "M")]
    rows = read_participants(write_tree(tmp_path, {"participants.tsv": table}) / "participants.tsv")
    assert persons(rows).to_numpy().tolist()[0][::2] == ["01", "F"]
    assert rows.flags == ("side_file_not_understood:participants.tsv:participant_id",)
    with pytest.raises(EegfmError, match="column participant_id stands twice, and its values differ in line 2"):
        with_columns(persons(rows), rows, {"sex": "text"})
    with caplog.at_level(logging.WARNING):
        say_faults(rows)
    assert "column participant_id stands twice and differs in line 2; the first one counts" in caplog.text


def test_a_column_that_stands_twice_and_differs_is_left_out(tmp_path: Path) -> None:
    table = [("participant_id", "age", "sex", "age"), ("sub-1", 30, "F", 30), ("sub-2", 31, "M", 45)]
    found = read(tmp_path, table)
    assert found["age_years"].isna().all()
    assert found["label_flags"].tolist() == ["age_not_understood"] * 2
    assert found["sex"].tolist() == ["F", "M"]
    found = read(tmp_path, [[*row[:-1], row[1]] for row in table])
    assert (found["age_years"].tolist(), found["label_flags"].tolist()) == ([30.0, 31.0], ["", ""])


@pytest.mark.parametrize("text", ["8,5", "inf", "nan", "old"])
def test_configured_numbers_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = write_tree(tmp_path, {"p.tsv": [("participant_id", "IQ"), ("sub-A", text)]}) / "p.tsv"
    with pytest.raises(EegfmError, match=rf"p\.tsv: IQ of A is '{text}' \(line 2\); it must be a number or"):
        numbers(read_participants(path), "IQ")


@pytest.mark.parametrize(
    "age", ["age", "Age", "AGE", "age_years", "Age (years)", "age [years]", "Age in years", "AGE_YRS"]
)
@pytest.mark.parametrize("sex", ["sex", "Sex", "SEX", "gender", "Gender", "GENDER"])
def test_names_of_columns_of_published_tables(tmp_path: Path, age: str, sex: str) -> None:
    found = read(tmp_path, [("Participant_ID", sex, age, "Handedness"), ("sub-001", "F", 49, "R")])
    assert found.to_numpy().tolist() == [["001", 49.0, "F", ""]]


@pytest.mark.parametrize(
    "name", ["age_months", "age_at_stroke", "ageing", "page", "birth_sex_ratio", "sexuality", "sex_age"]
)
def test_names_that_mean_something_else(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, [("participant_id", name), ("sub-1", 1)]).fillna("")[
        ["age_years", "sex"]
    ].to_numpy().tolist() == [["", ""]]


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        *((text, "M") for text in ("M", "m", "male", "Male", "MALE", "man", "Boy")),
        *((text, "F") for text in ("F", "f", "female", "Female", "FEMALE", "woman", "girl")),
        *((text, "") for text in ("o", "O", "other", "Other", "n/a", "N/A", "", "X", "unknown")),
    ],
)
def test_words_for_a_sex(tmp_path: Path, text: str, sex: str) -> None:
    found = read(tmp_path, [("participant_id", "sex"), ("sub-1", text)])
    assert (found["sex"][0], found["label_flags"][0]) == (sex, "")


@pytest.mark.parametrize("text", ["1", "2", "0", "w", "h", "-1", "mf", "?"])
def test_codes_that_nobody_explains_are_left_out_and_said(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, [("participant_id", "Sex"), ("sub-1", text), ("sub-2", "F"), ("sub-3", text)])
    assert found["sex"].tolist() == ["", "F", ""]
    assert found["label_flags"].tolist() == ["sex_not_understood", "", "sex_not_understood"]
    [line] = caplog.messages
    assert line.startswith(
        f"{tmp_path / 'participants.tsv'}: sex of 2 of 3 persons is not understood and left out, e.g."
    )
    assert repr(text) in line
    assert "participants.json" in line


@pytest.mark.parametrize(
    "levels",
    [
        {"1": "male", "2": "female"},
        {"1": {"Description": "Male participant"}, "2": {"Description": "Female participant", "TermURL": "x"}},
        {" 1": "A man.", "2 ": "Woman"},
    ],
)
@pytest.mark.parametrize("key", ["sex", "Sex", "SEX "])
def test_codes_that_the_json_explains(tmp_path: Path, levels: dict[str, Any], key: str) -> None:
    found = read(tmp_path, [("participant_id", "sex"), ("sub-1", 1), ("sub-2", 2)], {key: {"Levels": levels}})
    assert found["sex"].tolist() == ["M", "F"]
    assert found["label_flags"].tolist() == ["", ""]


@pytest.mark.parametrize(
    "levels", [{"1": "male or female"}, {"1": "male/female"}, {"1": ""}, {"2": "male"}, ["male"], "1"]
)
def test_explanations_that_say_nothing(tmp_path: Path, levels: Any) -> None:
    found = read(tmp_path, [("participant_id", "sex"), ("sub-1", 1)], {"sex": {"Levels": levels}})
    assert (found["sex"][0], found["label_flags"][0]) == ("", "sex_not_understood")


@pytest.mark.parametrize(
    ("units", "text", "years"),
    [
        *(
            (units, "30", 30.0)
            for units in ("years", "Years", "year", "y", "yrs", "years (at scan)", "in years", "", "integer", "n/a")
        ),
        *((units, "18", 1.5) for units in ("months", "Month", "months of age", "[months]", "age in months")),
        *((units, "26", 26 * 7 / 365.25) for units in ("weeks", "Week", "wk")),
        ("days", "365.25", 1.0),
    ],
)
def test_units_of_an_age(tmp_path: Path, units: str, text: str, years: float) -> None:
    found = read(tmp_path, [("participant_id", "Age"), ("sub-1", text)], {"Age": {"Units": units}})
    assert found["age_years"][0] == pytest.approx(years, abs=1e-12)


@pytest.mark.parametrize("units", ["m", "decades", "hours", "years or months", "?", "20-30 a"])
def test_units_that_are_not_understood_leave_the_age_out(
    tmp_path: Path, units: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = [("participant_id", "Age"), ("sub-1", 240), ("sub-2", 30), ("sub-3", "n/a")]
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, table, {"age": {"Units": units}})
    assert found["age_years"].isna().all()
    assert found["label_flags"].tolist() == ["age_not_understood", "age_not_understood", ""]
    assert f"participants.json: Units of Age is {units!r}; its ages are left out; write years" in caplog.messages[0]


@pytest.mark.parametrize(
    ("column", "name"),
    [
        *((column, "age") for column in ("Age_(months)", "age_months", "AgeMonths", "age_at_stroke", "AGE_MO")),
        *((column, "age") for column in ("Chronological age", "scan.age", "ageing", "agemo")),
        *((column, "sex") for column in ("Biological_Sex", "sex_at_birth", "BirthSex", "Gender_identity", "sexm")),
    ],
)
def test_columns_that_may_hold_an_age_or_a_sex_are_said(
    tmp_path: Path, column: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"age": "sex", "sex": "age"}[name]
    table = [("participant_id", column, known), ("sub-1", 1, "n/a"), ("sub-2", "n/a", "n/a")]
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, table)
    assert found.fillna("")[["age_years", "sex"]].to_numpy().tolist() == [["", ""]] * 2
    assert found["label_flags"].tolist() == [f"{name}_not_understood", ""]
    [line] = caplog.messages
    assert f"{column} may be one, and is not understood: {name} is left out" in line
    caplog.clear()
    table = [("participant_id", column, name), ("sub-1", 1, "n/a")]
    assert read(tmp_path, table)["label_flags"].tolist() == [""], "a column that is understood is enough"
    assert not caplog.messages


@pytest.mark.parametrize("column", ["page", "language", "stage", "Dosage", "percentage", "Essex", "handedness"])
def test_columns_about_something_else_are_not_flagged(
    tmp_path: Path, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(tmp_path, [("participant_id", column), ("sub-1", 1)])["label_flags"].tolist() == [""]
    assert not caplog.messages


@pytest.mark.parametrize("age", ["18-38", "28y", "8,5", "inf", "nan", "old", "-1", "999"])
def test_ages_that_are_none_are_left_out_and_said(tmp_path: Path, age: str, caplog: pytest.LogCaptureFixture) -> None:
    """One withheld age must not keep the recordings of a whole data set out; a task that needs it says so."""
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, [("participant_id", "age"), ("sub-1", age), ("sub-2", 28)])
    np.testing.assert_array_equal(found["age_years"], [math.nan, 28.0])
    assert found["label_flags"].tolist() == ["age_not_understood", ""]
    [line] = caplog.messages
    assert f"age of 1 of 2 persons is not understood and left out, e.g. {age!r}" in line


def test_columns_that_mean_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = [
        ("participant_id", "Gender", "sex", "Age", "age (years)"),
        ("sub-1", "M", "F", 30, "30.4"),
        ("sub-2", "F", "n/a", "n/a", 31),
        ("sub-3", "m", "male", 32, "n/a"),
        ("sub-4", "F", 1, 33, 43),
        ("sub-5", "n/a", "n/a", "n/a", "n/a"),
    ]
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, table)
    assert found["sex"].tolist() == ["F", "F", "M", "F", ""]
    np.testing.assert_array_equal(found["age_years"], [30, 31, 32, 33, math.nan])
    assert found["label_flags"].tolist() == ["columns_disagree:sex", "", "", "columns_disagree:age", ""]
    assert [line.partition(": ")[2] for line in caplog.messages] == [
        "columns Age and age (years) differ for 1 persons; Age counts",
        "columns sex and Gender differ for 1 persons; sex counts",
    ]


@pytest.mark.parametrize("text", ["{", "[1]", '{"sex": 1, "age": {"Units": 3}}'])
def test_a_json_that_says_nothing_costs_nothing(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path, [("participant_id", "sex", "age"), ("sub-1", "F", 30)], text)
    assert found.to_numpy().tolist() == [["1", 30.0, "F", ""]]
    assert [line.partition(" (")[0] for line in caplog.messages] == (
        [] if "sex" in text else ["participants.json: not readable as JSON"]
    )


def test_a_column_by_its_name_in_any_case() -> None:
    table = pd.DataFrame(columns=["participant_id", "Group", "IQ", "iq", "MMSE"])
    assert [column_of(table, name) for name in ("group", "GROUP", "IQ", "iq", "Iq", "mmse", "none")] == [
        *("Group", "Group", "IQ", "iq", None, "MMSE", None)
    ]


def test_published_tables(shared_data: Path) -> None:
    """Every table reads as a plain loop over its lines reads it; eegmmidb's has ``Gender`` and ``Age``."""
    tables = sorted(shared_data.glob("hbn_meta/ds*/participants.tsv"))
    assert len(tables) == 10
    odd = {}
    for path in [*tables, shared_data / "eegmmidb/openneuro_ds004362/participants.tsv"]:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        columns = {name.lower(): at for at, name in enumerate(header.split("\t"))}
        rows = [line.split("\t") for line in lines]
        found = persons(read_participants(path))
        sex = columns["sex" if "sex" in columns else "gender"]
        assert found["sex"].tolist() == [row[sex][0].upper() if row[sex] != "n/a" else "" for row in rows]
        ages = [row[columns["age"]] for row in rows]
        is_age = [age.replace(".", "").isdigit() for age in ages]
        expected = [float(age) if known else math.nan for age, known in zip(ages, is_age, strict=True)]
        np.testing.assert_array_equal(found["age_years"], expected)
        flags = found.get("label_flags", pd.Series("", index=found.index))
        odd |= {row[0]: flag for row, flag in zip(rows, flags, strict=True) if flag}
    # Its sex stands under age: without this row's age nobody of the data set is lost.
    assert odd == {"sub-044": "age_not_understood"}
