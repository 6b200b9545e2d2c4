"""Blanks around text: every kind of them, against Python's own idea of white space and Unicode's of invisible."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eegfm.signal.text import fits, stripped

BLANKS = ["", " ", "\t", "\r", "\n", "\u00a0", "\ufeff", "\u200b", "\u2009", "\u3000", " \u00a0\ufeff\t "]


@pytest.mark.parametrize("blanks", BLANKS)
@pytest.mark.parametrize("word", ["go", "S  1", "é\u2028n/a", "\u00b5V", "左"])
def test_blanks_around_a_word_are_gone_and_those_in_it_stay(word: str, blanks: str) -> None:
    assert stripped(f"{blanks}{word}{blanks}") == word


@pytest.mark.parametrize(
    ("text", "does"), [("BAD_ACQ_SKIP", True), (" bad ", True), ("not bad", False), ("[x]", True), ("x", False)]
)
def test_a_text_fits_a_pattern_in_any_case(text: str, does: bool) -> None:
    assert fits(text, ("Bad*", "[[]x]")) == does


@given(st.text(max_size=12))
def test_what_is_left_has_no_blank_at_either_end(text: str) -> None:
    left = stripped(text)
    assert left in text
    assert stripped(left) == left == left.strip()
    assert not left or all(unicodedata.category(end) != "Cf" for end in (left[0], left[-1]))


def test_every_character_of_unicode() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    gone = {c for c in every if stripped(f"a{c}") == "a"}
    expected = {c for c in map(chr, range(sys.maxunicode + 1)) if not c.strip() or unicodedata.category(c) == "Cf"}
    assert gone == expected
    assert "\0" not in gone, "zero bytes are damage, not blanks"
