"""Two runs over one data root: the second is told who is first; results are never of both."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from eegfm.corpora.simulated.config import MANIFEST
from eegfm.errors import EegfmError
from eegfm.io.folder import FolderDataset
from eegfm.io.metrics import MetricsDataset
from eegfm.project.hooks import ProjectHooks
from eegfm.project.run_lock import LOCKS, RunLock
from kedro_project import Command, kedro


def identity(x: object) -> object:
    return x


def run_of(root: Path, *outputs: str) -> tuple[Pipeline, DataCatalog, Path]:
    """A pipeline that reads ``in.json`` and writes files by name."""
    nodes = [Node(identity, "in", f"out{k}", name=f"n{k}") for k in range(len(outputs))]
    nodes.append(Node(identity, "in", "memory", name="memory"))
    entries = {f"out{k}": MetricsDataset(filepath=str(root / name)) for k, name in enumerate(outputs)}
    return Pipeline(nodes), DataCatalog({"in": MetricsDataset(filepath=str(root / "raw" / "in.json")), **entries}), root


def test_a_second_run_is_told_who_writes_where(tmp_path: Path) -> None:
    first, second = RunLock(), RunLock()
    first.take(*run_of(tmp_path, "a/x.json", "b/y.json"))
    with pytest.raises(EegfmError, match=rf"^{tmp_path}/b: process \d+ on .* runs and writes there; wait until it"):
        second.take(*run_of(tmp_path, "b/z.json", "c/z.json"))
    third = RunLock()
    third.take(*run_of(tmp_path, "c/z.json"))  # the one that failed holds nothing
    first.release()
    second.take(*run_of(tmp_path, "b/z.json"))


def test_runs_that_write_elsewhere_run_at_once(tmp_path: Path) -> None:
    locks = [RunLock() for _ in range(3)]
    locks[0].take(*run_of(tmp_path, "tuh/x.json"))
    locks[1].take(*run_of(tmp_path, "hbn/x.json"))
    locks[2].take(*run_of(tmp_path / "other", "tuh/x.json"))


def test_what_a_run_reads_or_writes_outside_is_not_locked(tmp_path: Path) -> None:
    pipeline, catalog, _ = run_of(tmp_path, "x.json")
    catalog["out0"] = FolderDataset(path="/recordings")
    RunLock().take(pipeline, catalog, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    RunLock().take(*run_of(tmp_path, "a/x.json"))
    assert sorted(p.name for p in (tmp_path / LOCKS).iterdir()) == ["a.lock", "a.lock.owner"]


def test_a_run_that_was_broken_off_in_this_process_holds_nothing(tmp_path: Path) -> None:
    lock = RunLock()
    lock.take(*run_of(tmp_path, "a/x.json"))
    lock.take(*run_of(tmp_path, "a/x.json"))  # as after Ctrl-C in a notebook
    lock.release()
    RunLock().take(*run_of(tmp_path, "a/x.json"))


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    run = run_of(tmp_path, "a/x[1].json", "b/y.json")
    kept = ["a/x[1].json", "a/.x[1].json", "a/.x1.json.7.tmp", "a/.mine.tmp", "b/.x[1].json.7.tmp"]
    for name in (*kept, "a/.x[1].json.7.tmp", "b/.y.json.123.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    busy = RunLock()
    busy.take(*run_of(tmp_path, "b/z.json"))
    with pytest.raises(EegfmError):
        RunLock().take(*run)
    assert (tmp_path / "a/.x[1].json.7.tmp").exists(), "another run may be about to rename it"
    busy.release()
    RunLock().take(*run)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("[ab]/*") if p.is_file()} == set(kept)


@pytest.mark.parametrize("end", [ProjectHooks.after_pipeline_run, lambda hooks: hooks.on_pipeline_error(ValueError())])
def test_a_run_that_ends_lets_others_write(end: Callable[[ProjectHooks], None], tmp_path: Path) -> None:
    hooks = ProjectHooks()
    hooks._lock.take(*run_of(tmp_path, "a/x.json"))
    end(hooks)
    RunLock().take(*run_of(tmp_path, "a/x.json"))


def test_two_runs_from_nothing_give_one_corpus(tmp_path: Path) -> None:
    data = tmp_path / "data"
    common = f"data={data},tuh.acquire.source.n_subjects=2,tuh.acquire.source.duration_s=30"
    run = ("run", "--env=test", "--pipelines=ingest", "--namespaces=tuh")
    seeds = (31, 32)
    commands = [Command((*run, f"--params={common},tuh.acquire.source.seed={s}"), tmp_path / str(s)) for s in seeds]
    outcomes = dict(zip(seeds, kedro(*commands, at_once=True), strict=True))
    won = [seed for seed, outcome in outcomes.items() if outcome.code == 0]
    assert won, [outcome.err for outcome in outcomes.values()]
    for seed in set(seeds) - set(won):
        assert "Traceback" not in outcomes[seed].out + outcomes[seed].err
        assert len(outcomes[seed].errors) == 1
        assert "runs and writes there; wait until it has ended, or write elsewhere" in outcomes[seed].errors[0]
    seed = json.loads((data / "01_raw/tuh" / MANIFEST).read_text())["config"]["seed"]
    assert seed in won
    [again] = kedro(commands[seeds.index(seed)])
    assert again.code == 0, "the run that ended frees its locks"
    n_files = len(pd.read_parquet(data / "02_intermediate/tuh/recordings.parquet"))
    assert f"tuh: {n_files} files, 0 to convert" in again.out, "tables and store are those of the raw files"
