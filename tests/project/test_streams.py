"""Output that the terminal cannot show, threads that fail, logs that cannot be written."""

import errno
import io
import logging
import os
import sys
import threading

import pytest

from eegfm.project import console, streams
from kedro_project import PROJECT_ROOT, run_python

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/logs/x")


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging.Handler, "handleError", logging.Handler.handleError)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", r"\u20ac \u0130 \xe9"), ("gbk", r"\u20ac \u0130 é"), ("cp1252", r"€ \u0130 é"), ("utf-8", "€ İ é")],
)
def test_a_character_that_the_terminal_lacks_is_replaced(
    encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", out)
    streams.install(console.one_line)
    out.write("\u20ac \u0130 é")
    out.flush()
    assert out.buffer.getvalue().decode(encoding) == shown


def run_thread(error: Exception) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def test_an_error_of_a_thread_is_one_line(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: sys.stderr.write("Traceback\n"))
    for _ in range(2):
        streams.install(console.one_line)
    run_thread(FULL)
    assert [m.partition(" (")[0] for m in caplog.messages] == ["/logs/x: its disk is full"]
    assert capsys.readouterr().err == ""
    run_thread(KeyError("ours"))
    assert capsys.readouterr().err == "Traceback\n"


class Broken(logging.Handler):
    error: Exception = FULL

    def emit(self, record: logging.LogRecord) -> None:
        try:
            raise self.error
        except OSError:
            self.handleError(record)


def test_a_log_that_cannot_be_written_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    streams.install(console.one_line)
    handler, record = Broken(), logging.makeLogRecord({"msg": "x"})
    for _ in range(3):
        handler.emit(record)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("eegfm: warning: log lines are lost: /logs/x: its disk is full")
    streams.install(console.one_line)
    handler.error = BrokenPipeError(errno.EPIPE, "Broken pipe")
    handler.emit(record)
    assert capsys.readouterr().err == "eegfm: warning: log lines are lost: the program that reads them has ended\n"
    handler.error = OSError("of our own")
    handler.emit(record)
    assert "--- Logging error ---" in capsys.readouterr().err


LOCALE = """
import locale, logging, sys, pathlib
assert locale.getpreferredencoding(False).lower() not in ("utf-8", "utf8"), "the test wants another locale"
from eegfm.project import console
console.install()
import yaml
from kedro.framework.project import LOGGING
import pandas as pd, plotly.graph_objects as go
from eegfm.io.figure import FigureDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.page import PageDataset
from eegfm.io.table import TableDataset
from eegfm.jobs.report.html_tables import html_table

folder = pathlib.Path(sys.argv[1])
text = "M\\u00fcller \\u2013 \\u00b5V"
table = pd.DataFrame({"name": [text]})
for name, cls, value in (
    ("table.parquet", TableDataset, table), ("metrics.json", MetricsDataset, {text: text}),
    ("report.html", PageDataset, html_table(table) + "</html>"),
    ("figure.json", FigureDataset, go.Figure(layout={"title": text})),
):
    dataset = cls(filepath=str(folder / name))
    dataset.save(value)
    dataset.check() if hasattr(dataset, "check") else dataset.load()
logging.getLogger("eegfm").warning("%s", text)
print(text)
raise __import__("eegfm.errors").errors.ConfigError(text)
"""


def test_all_is_utf8_under_another_locale(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    done = run_python(LOCALE, str(tmp_path))
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed, printed
    assert done.stderr.splitlines()[-1] == r"eegfm: error: M\xfcller \u2013 \xb5V"
    assert done.stdout.splitlines()[-1] == r"M\xfcller \u2013 \xb5V"
    assert (PROJECT_ROOT / str(tmp_path) / "report.html").read_bytes().count("Müller – µV".encode()) == 1
