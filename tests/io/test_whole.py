"""Every entry of the catalog is written whole or not at all: on a full disk the old file stays, and no other."""

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
    "eegfm.io.folder.FolderDataset": "a step fills the folder: the simulator, a fetch or an export, each whole",
    "eegfm.io.folder.WorkspaceDataset": "only loaded",
    "eegfm.io.foreign_file.ForeignFileDataset": "only loaded",
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
