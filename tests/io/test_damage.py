"""A file gives the saved contents, or one line says that it is damaged: random bits, sectors, and edits by hand."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from checkpoints import header
from eegfm.checkpoint import Checkpoint, load_checkpoint, read_header, save_checkpoint
from eegfm.errors import CheckpointError, DamageError, LineageError
from eegfm.io.checkpoint import CheckpointDataset
from eegfm.io.figure import FigureDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.io.recorded import Recorded
from eegfm.io.table import TableDataset
from eegfm.project.console import one_line
from eegfm.provenance import Record

N_FLIPS = 40
COMMAND = "kedro run --pipelines=mix --env=test"
N = 200
RNG = np.random.default_rng(0)
TABLES = {
    "recordings": pd.DataFrame(
        {
            "recording_id": [f"tuh:aaaaaa{i:03d}" for i in range(N)],
            "flags": [["flat:Cz"] if i % 3 else [] for i in range(N)],
            "segment_starts": [[0, i] for i in range(N)],
            "age_years": np.where(np.arange(N) % 7, RNG.uniform(0, 90, N), np.nan),
            "simulated": np.arange(N) % 2 == 0,
        }
    ),
    "mixture": pd.DataFrame(
        {
            "recording_id": pd.Categorical([f"hbn:{i // 10}" for i in range(N)]),
            "start": RNG.integers(0, 2**40, N),
            "step": np.full(N, 400, np.int32),
            "weight": RNG.random(N).astype(np.float32),
        }
    ),
    "empty": pd.DataFrame({"path": pd.Series([], dtype="str")}),
}
CASES: dict[str, tuple[type, Any]] = {
    **{name: (TableDataset, table) for name, table in TABLES.items()},
    "metrics": (
        MetricsDataset,
        {"pooled": 0.71, "interval_95": [0.5, 0.8], "who": {"b": 1, "é": None}, "n": {2: 0, 10: 1}},
    ),
    "figure": (FigureDataset, go.Figure(go.Scatter(x=np.arange(9), y=RNG.random(9)), {"title": {"text": "µV"}})),
    "encoder": (CheckpointDataset, Checkpoint({"w": RNG.random((40, 9)), "b": np.arange(7)}, header())),
}


def saved(kind: str, path: Path) -> tuple[Any, str]:
    """An entry as a run saves it, and the identity of its contents."""
    cls, data = CASES[kind]
    dataset = cls(filepath=str(path))
    dataset.command = COMMAND
    identity = dataset.identity_of(data)
    dataset.keep(
        Record(
            contents=identity, made_by="mix", is_data=True, made_from={"tuh.windows": "1"}, made_with={},
            parameters={"params:mix": {"a": 1}}, code=(("eegfm.x",), "2"),
        )
    )  # fmt: skip
    dataset.save(data)
    return dataset, identity


def same_or_refused(dataset: Any, path: Path, identity: str, record: Record) -> bool:
    """Whether the right contents are read; all else must be one line, as a run would print it."""
    try:
        dataset.check()
        loaded, said = dataset.load(), dataset.record()
    except Exception as error:  # noqa: BLE001  whatever it is, it must become one line
        line = one_line(error) or repr(error)
    else:
        line = ""
    if line:
        assert line.startswith(f"{path}: "), line
        assert "\n" not in line
        assert line.endswith(COMMAND) or "is of format" in line, line
        return False
    if said is None:
        assert dataset.identity() == Recorded.UNKNOWN  # a run refuses these
        return False
    assert (dataset.identity_of(loaded), said) == (identity, record)
    return True


@pytest.mark.parametrize("n_bytes", [1, 512])
@pytest.mark.parametrize("kind", list(CASES))
def test_a_damaged_file_is_read_right_or_refused(kind: str, n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    dataset, identity = saved(kind, path)
    good, record = path.read_bytes(), dataset.record()
    rng = np.random.default_rng([list(CASES).index(kind), n_bytes])
    n_refused = 0
    for _ in range(N_FLIPS):
        content = bytearray(good)
        where = int(rng.integers(len(content)))
        if n_bytes == 1:
            content[where] ^= 1 << int(rng.integers(8))
        else:
            content[where : where + n_bytes] = rng.bytes(len(content[where : where + n_bytes]))
        path.write_bytes(content)
        n_refused += not same_or_refused(dataset, path, identity, record)
    assert n_refused >= N_FLIPS // 2  # blanks between numbers may change
    for n_kept in (0, 1, 7, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:n_kept])
        assert not same_or_refused(dataset, path, identity, record), n_kept
    path.write_bytes(good)
    assert same_or_refused(dataset, path, identity, record)


@pytest.mark.parametrize("kind", ["recordings", "mixture", "empty", "encoder"])
def test_every_byte_of_a_binary_file_counts(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    dataset, _ = saved(kind, path)
    good = path.read_bytes()
    for where in range(0, len(good), max(1, len(good) // 150)):
        path.write_bytes(good[:where] + bytes([good[where] ^ 0x20]) + good[where + 1 :])
        with pytest.raises((LineageError, CheckpointError)):
            dataset.check()


@pytest.mark.parametrize(("kind", "old", "new"), [("metrics", "0.71", "0.99"), ("figure", "µV", "mV")])
def test_edits_by_hand_are_refused(kind: str, old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    dataset, _ = saved(kind, path)
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    path.write_text(text)
    dataset.check()  # another form of the same contents
    path.write_text(text.replace(old, new))
    line = f"{path}: damaged or changed by hand: it holds something else than its record says; make it again with: "
    for read in (dataset.check, dataset.load):
        with pytest.raises(Exception, match=re.escape(line + COMMAND)) as caught:
            read()
        assert one_line(caught.value) == line + COMMAND


def test_a_record_that_was_edited_is_none(tmp_path: Path) -> None:
    dataset, _ = saved("metrics", tmp_path / "file")
    content = (tmp_path / "file").read_text()
    (tmp_path / "file").write_text(content.replace('"tuh.windows": "1"', '"tuh.windows": "2"'))
    assert (dataset.record(), dataset.identity()) == (None, Recorded.UNKNOWN)


def test_tables_of_other_programs_are_refused_and_others_read_ours(tmp_path: Path) -> None:
    path = tmp_path / "file"
    dataset, identity = saved("recordings", path)
    theirs = pd.read_parquet(path)
    assert dataset.identity_of(theirs) == identity
    theirs.to_parquet(path)
    with pytest.raises(LineageError, match=r"file: damaged, or written by another program; make it again with: kedro"):
        dataset.check()


def test_weights_are_compared_with_their_checksum_without_a_record(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_checkpoint(path, CASES["encoder"][1])
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert read_header(path) == header()
    with pytest.raises(DamageError, match=r"encoder\.safetensors: damaged: its weights are not those that were saved"):
        load_checkpoint(path)


def test_a_header_that_was_edited(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    saved("encoder", path)
    path.write_bytes(path.read_bytes().replace(b'\\"seed\\":3', b'\\"seed\\":4'))
    with pytest.raises(DamageError, match="damaged: its header is not the one that was saved"):
        read_header(path)


def test_weights_that_were_edited_do_not_keep_the_record_of_others(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    dataset, _ = saved("encoder", path)
    loaded = dataset.load()
    save_checkpoint(path, loaded)
    assert dataset.record() == loaded.header.record
    save_checkpoint(path, Checkpoint({**loaded.tensors, "b": loaded.tensors["b"] + 1}, loaded.header))
    assert dataset.identity() == Recorded.UNKNOWN
    saved("encoder", path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file({**loaded.tensors, "b": loaded.tensors["b"] + 1}, path, metadata=metadata)
    with pytest.raises(DamageError, match="weights are not those that were saved"):
        load_checkpoint(path)
