"""What files hold reaches a terminal as visible text."""

import io
import logging
from collections.abc import Iterator

import pytest

from eegfm.printable import make_logs_printable, one_line, printable

HOSTILE = {
    "colour": ("\x1b[31mFp1", r"\x1b[31mFp1"),
    "title of the window": ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    "code of one byte": ("\x9b2J", r"\x9b2J"),
    "backspaces": ("safe\x08\x08\x08\x08evil", r"safe\x08\x08\x08\x08evil"),
    "delete": ("a\x7f", r"a\x7f"),
    "null": ("a\0b", r"a\x00b"),
    "carriage return": ("error\rfine ", r"error\rfine "),
    "direction": ("sub-\u202e10.edf", r"sub-\u202e10.edf"),
    "isolate": ("\u2066x\u2069", r"\u2066x\u2069"),
    "invisible": ("Fp\u200b1", r"Fp\u200b1"),
    "line of Unicode": ("a\u2028b", r"a\u2028b"),
    "no UTF-8": (b"\xff.edf".decode("utf-8", "surrogateescape"), r"\udcff.edf"),
    "tag": ("\U000e0041", r"\U000e0041"),
}
PLAIN = ["µV", "Müller – “x”", "日本語", "‰ → ≤", "a  b", r"C:\x1b", "[red]Fp1[/red]", "e\u0301"]


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What a handler of the standard library prints of the logger ``eegfm``."""
    before, stream = logging.getLogRecordFactory(), io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.setLogRecordFactory(logging.LogRecord)
    make_logs_printable()
    logger = logging.getLogger("eegfm")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_characters_become_visible(name: str) -> None:
    text, shown = HOSTILE[name]
    assert printable(text) == one_line(text) == shown
    assert printable(f"{text}\n\tx") == f"{shown}\n\tx"
    assert one_line(f"{text}\n\tx") == rf"{shown}\n\tx"


@pytest.mark.parametrize("text", PLAIN)
def test_visible_text_stays(text: str) -> None:
    assert printable(text) == one_line(text) == text


def test_every_control_character_is_escaped() -> None:
    codes = [chr(n) for n in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
    assert not [c for c in codes if c in one_line(f"a{c}b")]


@pytest.mark.parametrize("name", HOSTILE)
def test_logs_are_printable(name: str, printed: io.StringIO) -> None:
    text, shown = HOSTILE[name]
    logging.getLogger("eegfm.x").warning("%s: not read", text)
    logging.getLogger("eegfm").warning(f"{text}: not read")
    assert printed.getvalue() == f"{shown}: not read\n" * 2


def test_a_name_cannot_forge_a_line_of_the_log(printed: io.StringIO) -> None:
    logging.getLogger("eegfm").warning("%s: not read", "a\n12:00 INFO all is well")
    assert printed.getvalue() == "a\\n12:00 INFO all is well: not read\n"


def test_a_message_of_several_lines_keeps_them(printed: io.StringIO) -> None:
    logging.getLogger("eegfm").warning("two lines\n%s", "\x1b[1mb\nc")
    assert printed.getvalue() == "two lines\n\\x1b[1mb\nc\n"


def test_tracebacks_in_the_log_are_printable(printed: io.StringIO) -> None:
    try:
        raise ValueError("\x1b[2Jgone")
    except ValueError:
        logging.getLogger("eegfm").exception("failed")
    assert "ValueError: \\x1b[2Jgone" in printed.getvalue()
    assert "\x1b" not in printed.getvalue()
