"""Every entry of the catalog is written whole or not at all: on a full disk the old file stays, and no other."""

import ast
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import yaml

from checkpoints import header
from eegfm.checkpoint import Checkpoint
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.figure import FigureDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.page import PageDataset
from eegfm.io.table import TableDataset
from eegfm.project.console import one_line
from kedro_project import PROJECT_ROOT

N = 3000
CASES: dict[type, tuple[Any, Any]] = {
    TableDataset: (pd.DataFrame({"x": [1]}), pd.DataFrame({"x": np.random.default_rng(0).random(N)})),
    FigureDataset: (go.Figure(go.Scatter(y=[1])), go.Figure(go.Scatter(y=np.random.default_rng(0).random(N)))),
    MetricsDataset: ({"x": [1] * 50}, {str(k): 0.1 for k in range(N)}),
    PageDataset: ("<p>old</p>" * 9 + "</html>", "<p>new</p>" * N + "</html>"),
    CheckpointDataset: (Checkpoint({"w": np.zeros(50)}, header()), Checkpoint({"w": np.arange(float(N))}, header())),
}
"""Every class that writes a file, with old and new contents."""
WRITE_NOTHING = {
    "eegfm.io.checkpoint.EncoderFileDataset": "only loaded",
    "eegfm.io.checkpoints.CheckpointsDataset": "each file as a checkpoint is written",
    "eegfm.io.folder.FolderDataset": "a step fills the folder: the simulator, a fetch or an export, each whole",
    "eegfm.io.folder.WorkspaceDataset": "only loaded",
    "eegfm.io.foreign_file.ForeignFileDataset": "only loaded",
    "eegfm.io.start_file.StartFileDataset": "only loaded",
    "eegfm.io.signal_store.SignalStoreDataset": "the store commits recording by recording",
}


@contextmanager
def no_space(where: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that is full at one call."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*args: object, **named: object) -> None:
        raise full

    if where == "write":  # the system itself refuses
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return
    with monkeypatch.context() as patch:
        patch.setattr(*{"fsync": (os, "fsync"), "rename": (Path, "replace"), "folder": (Path, "mkdir")}[where], fail)
        yield


@pytest.mark.parametrize("where", ["write", "fsync", "rename", "folder"])
@pytest.mark.parametrize("cls", CASES)
def test_a_full_disk_leaves_the_old_file(
    cls: type, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "entry"
    old, new = CASES[cls]
    cls(filepath=str(path)).save(old)
    before = path.read_bytes()
    with no_space(where, monkeypatch), pytest.raises(Exception, match=r".") as caught:
        cls(filepath=str(path)).save(new)
    line = one_line(caught.value)
    assert line is not None
    assert line.startswith(f"{path}: ")
    assert "full" in line or "larger" in line
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["entry"]
    cls(filepath=str(path)).save(new)
    assert path.read_bytes() != before


@pytest.mark.parametrize("cls", CASES)
@pytest.mark.parametrize("n_bytes", [0, 1, 40])
def test_the_next_run_replaces_a_file_that_is_cut(cls: type, n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "entry"
    old, new = CASES[cls]
    cls(filepath=str(path)).save(old)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(Exception, match=r".") as caught:
        cls(filepath=str(path)).load()
    line = one_line(caught.value)
    assert line is not None
    assert line.startswith(f"{path}: ")
    assert "kedro run" in line
    cls(filepath=str(path)).save(new)
    cls(filepath=str(path)).load()


def test_every_class_of_the_catalogs_is_whole() -> None:
    """Kedro's own datasets write in place: a full disk would leave half a file where a whole one was."""
    files = sorted((PROJECT_ROOT / "conf").rglob("catalog*.yml"))
    entries = [(file, name, entry) for file in files for name, entry in yaml.safe_load(file.read_text("utf-8")).items()]
    whole = {f"{cls.__module__}.{cls.__qualname__}" for cls in CASES} | set(WRITE_NOTHING)
    assert [(str(file), name, entry["type"]) for file, name, entry in entries if entry["type"] not in whole] == []
    assert {entry["type"] for _, _, entry in entries} == whole, "a class that no entry uses needs no exception"


WRITERS = {
    "files.py": "write_atomically itself, and the name of a lock's holder",
    "corpora/simulated/writer.py": "renames every file; an unfinished folder is known as one",
    "jobs/acquire/fetch.py": "parts, which are renamed when they are whole",
    "jobs/acquire/fetched.py": "lines at the end, of which a torn one counts for nothing",
    "jobs/ingest/stream.py": "the spool of a store, emptied at every start",
    "jobs/ingest/workers.py": "the spool, and /dev/null",
    "jobs/train/exchange.py": "a private folder; its description with checksums comes last",
    "jobs/weights/export_onnx.py": "/dev/null; the folder of an export is renamed when it is whole",
    "jobs/weights/export_programs.py": "the folder of an export is renamed when it is whole",
    "store/damage.py": "marks and missing ends, which no reader believes",
    "store/shards.py": "samples, which count with their line of the index",
    "training/logs/loggers.py": "rows of a table, of which a torn one is left out by a run that goes on",
    "store/writer.py": "lines of the index, of which a torn one counts for nothing",
}
"""Modules that write to a file without ``write_atomically``, and what a file that ends early does there."""
OF_PANDAS = {"to_parquet", "to_csv", "to_json", "to_pickle", "to_excel", "tofile", "savez", "savetxt", "dump"}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def mode_of(call: ast.Call) -> str:
    """Mode of a call of ``open``: the second argument of the function, the first of a path's method; ``r`` if none."""
    given = [*call.args[isinstance(call.func, ast.Name) :], *(k.value for k in call.keywords if k.arg == "mode")]
    texts = [a.value for one in given[:1] for a in ast.walk(one) if isinstance(a, ast.Constant)]
    return "".join(map(str, texts)) or "r"


def uses(path: Path) -> tuple[bool, bool]:
    """Whether a module opens text without an encoding, and whether it writes to a file by its own."""
    is_without, writes = False, False
    for name, call in calls(path):
        has_encoding = any(k.arg == "encoding" for k in call.keywords)
        if name == "open" and getattr(getattr(call.func, "value", None), "id", "") not in {"os", "bucket"}:
            mode = mode_of(call)
            is_without |= bool(set(mode) <= set("rwaxt+") and not has_encoding)
            writes |= bool(set("wax+") & set(mode)) and set(mode) <= set("rwaxbt+")
        elif name in {"read_text", "write_text"}:
            is_without |= not has_encoding
            writes |= name == "write_text"
        writes |= name in OF_PANDAS | {"write_bytes"} and bool(call.args)
    return is_without, writes


def test_text_has_an_encoding_and_files_are_written_whole() -> None:
    root = PROJECT_ROOT / "src" / "eegfm"
    found = {path.relative_to(root).as_posix(): uses(path) for path in root.rglob("*.py")}
    assert [name for name, (is_without, _) in found.items() if is_without] == []
    assert {name for name, (_, writes) in found.items() if writes} == set(WRITERS)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(p)", (True, False)), ("open(p, 'w')", (True, True)), ("p.open('w', encoding='utf-8')", (False, True)),
        ("p.open('rb')", (False, False)), ("p.open()", (True, False)), ("p.read_text()", (True, False)),
        ("p.write_text(x, encoding='utf-8')", (False, True)), ("p.write_bytes(x)", (False, True)),
        ("t.to_parquet(p)", (False, True)), ("json.dump(x, f)", (False, True)), ("os.open(p, 0)", (False, False)),
    ],
)  # fmt: skip
def test_such_a_call_would_be_seen(code: str, expected: tuple[bool, bool], tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(code)
    assert uses(tmp_path / "x.py") == expected
