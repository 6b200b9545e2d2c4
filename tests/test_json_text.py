"""JSON of others: one kind of error, whatever is wrong."""

import pytest

from eegfm.json_text import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper than 64 levels"),
        ('{"a":' * 100_000, "nested deeper"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper"),
        ('{"a": ' + "9" * 5000 + "}", "a number of 5000 digits; 1000 are allowed"),
        ("{", "Expecting"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_what_cannot_be_read_is_a_value_error(text: str, expected: str, *, strict: bool) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        parse_json(text, strict=strict)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"), [('{"a": 1, "b": 2, "a": 3}', "the name 'a' occurs twice"), ("NaN", "NaN is no number")]
)
def test_strict(text: str, expected: str) -> None:
    parse_json(text)
    with pytest.raises(ValueError, match=expected):
        parse_json(text, strict=True)


@pytest.mark.parametrize("strict", [False, True])
def test_plain_values(*, strict: bool) -> None:
    depth = MAX_DEPTH
    assert parse_json('{"a": [1, 2.5, null, "x"]}', strict=strict) == {"a": [1, 2.5, None, "x"]}
    assert parse_json(b'{"a": 12345678901234567890}', strict=strict) == {"a": 12345678901234567890}
    assert str(parse_json("[" * depth + "]" * depth, strict=strict)).count("[") == depth
