"""What the keys of a configured table mean: persons or files."""

import pandas as pd
import pytest

from eegfm.corpora.label_match import matched, respelt
from eegfm.errors import EegfmError

FILES = pd.DataFrame(
    {
        "path": ["001/a_rest.edf", "001/b_rest.edf", "002/a_task.edf", "9/x.edf"],
        "subject": ["001", "001", "002", ""],
        "excluded": ["", "", "", "not in the layout"],
    }
)


def rows(*keys: str) -> pd.DataFrame:
    return pd.DataFrame({"subject": list(keys), "group": [f"g{k}" for k in range(len(keys))]})


def test_persons() -> None:
    table, by = matched(rows("001", "SUB-002", "77"), FILES, "either", "c")
    assert (by, table["subject"].tolist()) == ("subject", ["001", "SUB-002", "77"])


@pytest.mark.parametrize(
    "key", ["002/a_task.edf", "002/a_task", "a_task.edf", "a_task", "./002/a_task.edf", "002\\a_task.edf"]
)
@pytest.mark.parametrize("given", ["either", "file"])
def test_files(key: str, given: str) -> None:
    table, by = matched(rows(key, "none.edf"), FILES, given, "c")
    assert by == "path"
    assert dict(zip(table["path"], table["group"], strict=True))["002/a_task.edf"] == "g0"


@pytest.mark.parametrize(
    ("keys", "given", "message"),
    [
        (("1", "2"), "either", "none of 2 rows matches (1, 2); persons are 001, 002; files are 001/a_rest.edf, "
         "001/b_rest.edf, 002/a_task.edf; if '1' is '001', write it like that in the table"),
        (("a_rest",), "subject", "none of 1 rows matches (a_rest); persons are 001, 002"),
        (("001",), "file", "none of 1 rows matches (001); files are"),
        (("a_rest", "002"), "either", "rows match persons and files, e.g. 002 and 001/a_rest.edf; set"),
        (("a_rest.edf", "001/a_rest"), "either", "'a_rest.edf' and '001/a_rest' are the same file; keep one row"),
        (("x",), "either", "none of 1 rows matches (x)"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_meant(keys: tuple[str, ...], given: str, message: str) -> None:
    with pytest.raises(EegfmError) as caught:
        matched(rows(*keys), FILES, given, "c: t.csv, column 'id'")
    assert str(caught.value).startswith(f"c: t.csv, column 'id': {message}")


def test_a_name_of_several_files_is_no_key() -> None:
    files = pd.DataFrame({"path": ["a/x.edf", "b/x.edf"], "subject": ["a", "b"], "excluded": ["", ""]})
    with pytest.raises(EegfmError, match=r"'x\.edf' is the name of a/x\.edf and b/x\.edf; give paths"):
        matched(rows("x.edf"), files, "either", "c")
    # One person in two formats: the key is the person, whatever the files are called.
    both = pd.DataFrame({"path": ["a.edf", "a.bdf"], "subject": ["a", "a"], "excluded": ["", ""]})
    assert matched(rows("a"), both, "either", "c")[1] == "subject"


def test_a_name_that_is_person_and_file_alike_is_a_person() -> None:
    files = pd.DataFrame({"path": ["a.edf", "b.edf"], "subject": ["a", "b"], "excluded": ["", ""]})
    assert matched(rows("a", "b"), files, "either", "c")[1] == "subject"
    assert matched(rows("a.edf", "b.edf"), files, "either", "c")[1] == "path"


@pytest.mark.parametrize(
    ("key", "subject", "is_hinted"),
    [("1", "001", True), ("sub-1", "01", True), ("S001", "1", True), ("2", "001", False), ("anna", "a", False)],
)
def test_ids_in_another_spelling_are_hinted_at(key: str, subject: str, is_hinted: bool) -> None:
    assert (repr(key) in respelt([key], [subject])) is is_hinted
