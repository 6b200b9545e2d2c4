"""The probe of a run is checked before the training of the same run, and only then."""

from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from eegfm.jobs.probe import ahead
from eegfm.pipelines import export, mix, pretrain, probe, window
from eegfm.project.probe_ahead import ProbeAhead

PRETRAIN, PROBE = pretrain.create_pipeline(["tuh"]), probe.create_pipeline("hbn")
CATALOG = DataCatalog(
    {name: MemoryDataset(name) for name in ("hbn.signals", "hbn.windows", "splits", "params:probe", "other")}
)
INPUTS = {name: name for name in PRETRAIN.nodes[0].inputs}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []
    monkeypatch.setattr(ahead, "check_ahead", lambda *args: calls.append(args))
    return calls


def begin(pipeline: Pipeline, *done: str) -> None:
    """Begin the training of a run in which some steps are done."""
    run = ProbeAhead(pipeline)
    for node in pipeline.nodes:
        if node.name in done:
            run.end(node)
    run.begin(PRETRAIN.nodes[0], CATALOG, INPUTS)


def test_a_run_of_both(checked: list[Any]) -> None:
    begin(PRETRAIN + PROBE)
    stores = {"tuh": "tuh.signals"}
    assert checked == [("mixture", stores, "params:pretrain", "hbn.signals", "hbn.windows", "splits", "params:probe")]
    ProbeAhead(PRETRAIN + PROBE).begin(PROBE.nodes[0], CATALOG, INPUTS)
    assert len(checked) == 1


def test_a_run_of_one(checked: list[Any]) -> None:
    begin(PRETRAIN)
    begin(PRETRAIN + export.create_pipeline())
    ProbeAhead().begin(PRETRAIN.nodes[0], CATALOG, INPUTS)
    assert checked == []


def test_tables_that_the_run_has_not_made_yet(checked: list[Any]) -> None:
    whole = window.create_pipeline("hbn") + mix.create_pipeline(["hbn", "tuh"], ["tuh"]) + PRETRAIN + PROBE
    begin(whole, "split_persons")
    assert checked == []
    begin(whole, "split_persons", "hbn.cut_windows")
    assert len(checked) == 1
