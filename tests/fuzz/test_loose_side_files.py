"""Folders with loose side files: every recording has the outcome that the rule says, whatever else is wrong.

Half of the cases are BIDS folders, which are listed and converted. Half are EDF folders with a table of labels, which
are listed. ``EEGFM_FOREIGN`` asks for as many cases of foreign folders; half of them are drawn here.
"""

import math
import os
import re
from pathlib import Path
from typing import Any

import pytest

from bids_tree import SIGNAL, write_signal
from eegfm.errors import EegfmError
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from fuzz.loose_bids import DURATION_S, ELECTRODES, LABELS, RATE_HZ, draw_bids
from fuzz.loose_case import Case
from fuzz.loose_tables import draw_table

N_CASES = int(os.environ.get("EEGFM_FOREIGN", "200")) // 2
SLICE = 10


@pytest.fixture(scope="module")
def signal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("signal") / "x.edf"
    write_signal(path, LABELS, rate_hz=RATE_HZ, duration_s=DURATION_S)
    return path.read_bytes()


@pytest.mark.parametrize("first", range(0, N_CASES, SLICE))
def test_loose_side_files(tmp_path: Path, signal: bytes, first: int) -> None:
    wrong = []
    for number in range(first, min(first + SLICE, N_CASES)):
        case = draw_table(number) if number % 2 else draw_bids(number)
        wrong += [f"{number}: {why} ({'; '.join(case.done)})" for why in judged(case, tmp_path / str(number), signal)]
    assert not wrong, "\n".join(wrong)


def judged(case: Case, root: Path, signal: bytes) -> list[str]:
    """Everything that is not as the rule says."""
    for path, content in {**case.files, **dict.fromkeys(case.recordings, signal)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    params = IngestParams.model_validate({"corpus": case.corpus})
    try:
        table = params.corpus.build("mine").index(root)
    except EegfmError as error:
        is_expected = case.error and re.search(case.error, str(error)) and "\n" not in str(error)
        return [] if is_expected else [f"error {error}; expected: {case.error or 'none'}"]
    if case.error:
        return [f"no error; expected: {case.error}"]
    wrong = []
    for row in table.query("excluded == ''").to_dict("records"):
        path = row["path"]
        wrong += [
            f"{path}: {name} is {row.get(name)!r}, not {value!r}"
            for name, value in case.columns[path].items()
            if not _same(row.get(name), value)
        ]
        flags = set(row["label_flags"].split())
        if case.corpus["name"] == "bids":
            task = Task(root, {str(k): v for k, v in row.items()}, "key", params, SIGNAL, root)
            found, others = _converted(case, task)
            flags |= found
            wrong += others
        if flags != case.flags[path] and not case.codes:
            wrong.append(f"{path}: flags {sorted(flags ^ case.flags[path])} differ, all: {sorted(flags)}")
    return wrong


def _converted(case: Case, task: Task) -> tuple[set[str], list[str]]:
    done = convert(task)
    if not isinstance(done, Converted):
        return set(), [] if done.code in case.codes else [f"rejected: {done.code}: {done.reason}"]
    if case.codes:
        return set(), [f"not rejected, expected {sorted(case.codes)}"]
    events = [(e["onset_s"], e["duration_s"], e["value"]) for e in done.events]
    facts: dict[str, tuple[Any, Any]] = {
        "channels": (done.montage.channel_names, ELECTRODES),
        "events": (events, case.events),
        "bad channels": (set(done.bad_channels), case.bad_channels),
        "reference": (done.montage.reference, case.reference),
    }
    return set(done.facts["flags"]), [f"{what} {a}, not {b}" for what, (a, b) in facts.items() if a != b]


def _same(found: Any, expected: Any) -> bool:
    is_missing = found is None or found == "" or (isinstance(found, float) and math.isnan(found))
    return is_missing if expected in (None, "") else bool(found == expected)
