"""What files hold reaches a terminal as visible text."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eegfm.errors import ConfigError
from eegfm.printable import make_logs_printable, one_line, printable
from eegfm.project import console
from tone_corpus import PARAMS, run_ingest, write_corpus, write_recording

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


def test_errors_are_printable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    console.install()
    sys.excepthook(ConfigError, ConfigError("a\x1b[31m\nb"), None)
    assert capsys.readouterr().err == "eegfm: error: a\\x1b[31m\\nb\n"
    sys.excepthook(KeyError, RuntimeError("a\x1b[31m\nb"), None)  # a bug of ours: its traceback has several lines
    assert capsys.readouterr().err == "RuntimeError: a\\x1b[31m\nb\n"


def test_what_a_hostile_corpus_holds_reaches_no_terminal(tmp_path: Path, printed: io.StringIO) -> None:
    root, code = tmp_path / "raw", "\x1b]0;owned\x07\u202e"
    write_corpus(root, ["a_1"])
    for name in (f"b{code}_1", "c\nINFO_1"):
        (root / f"{name}.edf").write_bytes(b"no recording")
    write_recording(root / "d_1.edf", rate_hz=250.0, phase_seed=4)
    content = bytearray((root / "d_1.edf").read_bytes())
    content[256:272] = b"EEG \x1b[31mqqq".ljust(16)
    (root / "d_1.edf").write_bytes(content)
    done = run_ingest(root, tmp_path / "signals", PARAMS.model_copy(update={"max_rejected_ratio": 0.9}))
    log = printed.getvalue()
    assert not [c for c in log if not c.isprintable() and c != "\n"]
    assert r"not_edf: b\x1b]0;owned\x07\u202e_1.edf: the file starts with" in log
    assert "\nnot_edf: c\\nINFO_1.edf: " in log
    paths = set(done.file_outcomes["path"])
    assert {f"b{code}_1.edf", "c\nINFO_1.edf"} <= paths, "tables keep the text as it is"
    assert "EEG \x1b[31mqqq" in {label for labels in done.recordings["labels_not_understood"] for label in labels}
