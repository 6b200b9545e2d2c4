"""Why a store starts empty: the parameter with both values, the module, the library, and what it costs."""

import json
import logging
from pathlib import Path

import pytest

from eegfm.jobs.ingest import staleness
from eegfm.signal.config import ReadParams, SignalParams
from eegfm.store import layout
from eegfm.store.changes import described_changes
from eegfm.store.layout import StoreFacts, read_facts, write_facts
from tone_corpus import CORPUS, PARAMS, run_ingest, write_corpus


@pytest.fixture
def root(tmp_path: Path) -> Path:
    run_ingest(write_corpus(tmp_path / "raw", ("a_1", "b_1")), tmp_path / "store")
    return tmp_path


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines of the log between the listing of the files and the plan."""
    start = next(k for k, message in enumerate(caplog.messages) if " files of 2 persons" in message)
    end = next(k for k, message in enumerate(caplog.messages) if "to convert" in message)
    return caplog.messages[start + 1 : end]


CHANGES = {
    "rate": ({}, {"rate_hz": 120}, "signal.rate_hz 100.0 -> 120.0"),
    "two": ({}, {"high_hz": 30, "notch_hz": 25}, "signal.high_hz 45.0 -> 30.0; signal.notch_hz None -> 25.0"),
    "reference": (
        {"corpus": CORPUS.model_copy(update={"reference": "linked_ears"})}, {},
        "ingest.corpus.reference 'average' -> 'linked_ears'",
    ),
    "units": ({"reading": ReadParams(units={"uv": "uV"})}, {}, "ingest.reading.units.uv None -> 'uV'"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CHANGES))
def test_parameters(root: Path, caplog: pytest.LogCaptureFixture, case: str) -> None:
    params, signal, expected = CHANGES[case]
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run_ingest(root / "raw", root / "store", PARAMS.model_copy(update=params), SignalParams(**signal))
    [line] = said(caplog)
    assert f"store starts empty, and its 2 recordings are converted again: {expected}" in line
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run_ingest(root / "raw", root / "store", PARAMS.model_copy(update=params), SignalParams(**signal))
    assert said(caplog) == []


def test_code_and_libraries(root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, version = staleness.module_hashes, staleness.version
    monkeypatch.setattr(
        staleness, "module_hashes", lambda *roots, **k: hashes(*roots, **k) | {"signal.processing.filters": "new"}
    )
    monkeypatch.setattr(staleness, "version", lambda name: "0.1" if name == "scipy" else version(name))
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run_ingest(root / "raw", root / "store")
    [line] = said(caplog)
    assert "its 2 recordings are converted again: the code of signal.processing.filters changed; scipy " in line
    assert line.endswith(f"{version('scipy')} -> 0.1")


def test_a_store_that_does_not_say_what_made_it_learns_it(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    full = read_facts(root / "store")
    write_facts(root / "store", StoreFacts(full.rate_hz, full.is_simulated, full.filters, full.made_by))
    run_ingest(root / "raw", root / "store")
    assert read_facts(root / "store").made_from == full.made_from
    assert read_facts(root / "store").raw_folder == str(root / "raw")
    write_facts(root / "store", StoreFacts(full.rate_hz, full.is_simulated, full.filters, "another"))
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run_ingest(root / "raw", root / "store")
    assert "its 2 recordings are converted again: parameters or code changed; it does not say which" in said(caplog)[0]


def test_another_format(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    facts = {k: v for k, v in json.loads((root / "store" / "store.json").read_bytes()).items() if k != "crc32c"}
    layout._write_sealed(root / "store" / "store.json", {**facts, "format_version": 1})
    with caplog.at_level(logging.INFO, logger="eegfm"):
        run_ingest(root / "raw", root / "store")
    assert "starts empty: another version of eegfm wrote it, in another format" in said(caplog)[0]


def test_many_modules_are_counted() -> None:
    old = StoreFacts(100.0, made_from={"code": {f"m{k}": "x" for k in range(9)}})
    new = StoreFacts(100.0, made_from={"code": {f"m{k}": "y" for k in range(9)}})
    assert described_changes(old, new) == "the code of m0, m1, m2, m3, m4 and 4 more changed"
