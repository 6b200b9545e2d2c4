"""The table in ``docs/edf_outcomes.md`` is true, row by row."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edf_files import decode
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import SignalParams
from eegfm.signal.open import open_reader
from eegfm.signal.units import UNITS_UV
from kedro_project import PROJECT_ROOT

CORPUS = EdfFolderCorpus(pattern="{subject}")
PER_FILE = 8
"""Channels of each file that are decoded byte by byte; a file has up to 139."""


class Row(NamedTuple):
    file: str
    conversion: str
    flags: tuple[str, ...] | None
    added: tuple[str, ...]


def table() -> list[Row]:
    """Rows of the document; flags are None for files that the reader refuses."""
    rows = []
    for line in (PROJECT_ROOT / "docs" / "edf_outcomes.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and "/" in cells[0]:
            flags = None if not cells[2] else tuple(cells[2].replace("-", "").split())
            rows.append(Row(cells[0], cells[1], flags, tuple(cells[3].removeprefix("-").split())))
    return rows


def test_the_table_has_every_file(shared_data):
    folder = shared_data / "edf_corner_cases"
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix in {".edf", ".bdf"}}
    assert [row.file for row in table()] == list(dict.fromkeys(row.file for row in table()))
    assert {row.file for row in table()} == there


@pytest.mark.parametrize("row", table(), ids=lambda row: row.file)
def test_conversion(shared_data, tmp_path, row):
    folder = shared_data / "edf_corner_cases"
    stat = (folder / row.file).stat()
    facts = {"recording_id": "x:x", "corpus": "x", "subject": "x", "path": row.file, "published": ""}
    entry = facts | {"n_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    signal = SignalParams(min_channels=1, min_duration_s=1)
    done = convert(Task(folder, entry, "key", IngestParams(corpus=CORPUS), signal, tmp_path))
    if isinstance(done, Converted):
        assert row.conversion == "in"
        assert done.facts["flags"] == sorted({*row.flags, *row.added})
    else:
        assert row.conversion == f"rejected: {done.code}"
        assert done.remedy


@pytest.mark.parametrize("row", [row for row in table() if row.flags is not None], ids=lambda row: row.file)
def test_what_the_reader_takes_equals_an_independent_decoder(shared_data, row):
    path: Path = shared_data / "edf_corner_cases" / row.file
    reader = open_reader(path)
    header = reader.header
    assert header.flags == row.flags
    is_readable = [
        rate == header.rate_hz and unit in UNITS_UV and header.labels.count(label) == 1
        for label, unit, rate in zip(header.labels, header.units, header.channel_rates_hz, strict=True)
    ]
    picks = np.flatnonzero(is_readable)
    picks = np.unique(picks[np.linspace(0, len(picks) - 1, PER_FILE).astype(int)]).tolist()
    found = reader.read_uv(0, header.n_samples, picks)
    for signal_uv, k, wanted in zip(found, picks, decode(path, [header.labels[k] for k in picks]), strict=True):
        wanted_uv = wanted[: header.n_samples] * UNITS_UV[header.units[k]]
        steps_uv = np.diff(np.unique(wanted_uv))
        step_uv = steps_uv.min() if len(steps_uv) else 0.0
        assert (np.abs(signal_uv - wanted_uv) <= step_uv / 2 + np.abs(wanted_uv) * np.finfo(np.float32).eps).all()
