"""Names that match nothing."""

import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.named import close_names, counted_values, refuse_unmatched

VALUES = pd.Series(["left"] * 3 + ["Rest"] * 2 + ["right", "", None])


def test_the_message_names_the_value_those_that_exist_and_the_one_that_was_meant() -> None:
    expected = (
        "cut 'mi': anchors.rest.values: 'rest' matches none of 8 events; there are: 'left' 3, 'Rest' 2, 'right' 1; "
        "did you mean 'Rest'? Otherwise correct it or leave it out"
    )
    with pytest.raises(ConfigError) as error:
        refuse_unmatched("cut 'mi': anchors.rest.values", ["left", "rest"], VALUES, "events")
    assert str(error.value) == expected


def test_names_that_exist_are_no_error_whatever_the_type_of_the_values() -> None:
    refuse_unmatched("x", ["left", "Rest"], VALUES, "events")
    refuse_unmatched("x", ["1", "2"], pd.Series([1, 2, 2]), "events")
    refuse_unmatched("x", [], pd.Series([], dtype="str"), "events")


def test_missing_values_are_no_values() -> None:
    with pytest.raises(ConfigError, match="'nan' matches none of 2 rows; there are: no values at all; correct it"):
        refuse_unmatched("x", ["nan"], pd.Series([float("nan"), None]), "rows")


def test_long_lists_are_cut_short() -> None:
    values = pd.Series([f"v{k:02d}" for k in range(30)] + ["often"] * 2)
    assert counted_values(values).startswith("'often' 2, 'v00' 1, ")
    assert counted_values(values).endswith("'v18' 1, and 11 others")


@pytest.mark.parametrize(
    ("name", "close"),
    [("rest ", ["Rest"]), ("go left", ["goleft", "Go Left"]), ("rihgt", ["right"]), ("xyz", [])],
)
def test_close_names_differ_in_blanks_or_case_or_by_a_slip(name: str, close: list[str]) -> None:
    assert close_names(name, ["Rest", "right", "goleft", "Go Left"]) == close
