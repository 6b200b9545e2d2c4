"""The probe of a run is checked before the training of the same run, and only then."""

from typing import Any

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline

from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.jobs.probe import ahead
from eegfm.pipelines import export, mix, pretrain, probe, window
from eegfm.project.probe_ahead import ProbeAhead

PRETRAIN, PROBE = pretrain.create_pipeline(["tuh"]), probe.create_pipeline(["hbn"])
TASK = ProbeParams(tasks=["eyes"])
CATALOG = DataCatalog(
    {name: MemoryDataset(name) for name in ("hbn.signals", "hbn.windows", "splits", "other")}
    | {"params:probe": MemoryDataset({"tasks": ["eyes"]})}  # as Kedro gives it to a run without the probe
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
    probed, windows = {"hbn": "hbn.signals"}, {"hbn": "hbn.windows"}
    assert checked == [("mixture", stores, "params:pretrain", probed, windows, "splits", TASK)]
    ProbeAhead(PRETRAIN + PROBE).begin(PROBE.nodes[0], CATALOG, INPUTS)
    assert len(checked) == 1


def test_a_run_of_one(checked: list[Any]) -> None:
    begin(PRETRAIN)
    begin(PRETRAIN + export.create_pipeline())
    ProbeAhead().begin(PRETRAIN.nodes[0], CATALOG, INPUTS)
    assert checked == []


def test_a_probe_that_may_follow_is_only_warned_of(
    checked: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ProbeAhead(PRETRAIN, PROBE).begin(PRETRAIN.nodes[0], CATALOG, INPUTS)
    assert len(checked) == 1
    without = DataCatalog({name: MemoryDataset() for name in CATALOG})
    ProbeAhead(PRETRAIN, PROBE).begin(PRETRAIN.nodes[0], without, INPUTS)  # nothing to look at
    assert len(checked) == 1

    def refuse(*_: Any) -> None:
        raise SplitError("too few persons")

    monkeypatch.setattr(ahead, "check_ahead", refuse)
    ProbeAhead(PRETRAIN, PROBE).begin(PRETRAIN.nodes[0], CATALOG, INPUTS)
    assert "a probe of it would be refused: too few persons" in caplog.text
    with pytest.raises(SplitError, match="too few persons"):
        begin(PRETRAIN + PROBE)


def test_each_phase_has_a_probe_of_its_own(checked: list[Any]) -> None:
    later = pretrain.create_pipeline(["tuh"], "adapt", "pretrain.encoder")
    probes = probe.create_pipeline(["hbn"], "pretrain", "pretrain_probe") + probe.create_pipeline(["hbn"], "adapt")
    inputs = {name: name for name in later.nodes[0].inputs}
    run = ProbeAhead(PRETRAIN + later + probes)
    run.begin(PRETRAIN.nodes[0], CATALOG, INPUTS)
    run.begin(later.nodes[0], CATALOG, inputs)
    assert [call[2] for call in checked] == ["params:pretrain", "params:adapt"]
    ProbeAhead(later + PROBE).begin(later.nodes[0], CATALOG, inputs)  # a probe of another phase
    assert len(checked) == 2


def test_every_probed_corpus_is_looked_at(checked: list[Any]) -> None:
    names = ("hbn.signals", "hbn.windows", "tuab.signals", "tuab.windows", "splits")
    catalog = DataCatalog({name: MemoryDataset(name) for name in names} | {"params:probe": MemoryDataset(TASK)})
    both = PRETRAIN + probe.create_pipeline(["hbn", "tuab"])
    ProbeAhead(both).begin(PRETRAIN.nodes[0], catalog, INPUTS)
    [(_, _, _, probed, windows, _, _)] = checked
    assert probed == {"hbn": "hbn.signals", "tuab": "tuab.signals"}
    assert windows == {"hbn": "hbn.windows", "tuab": "tuab.windows"}
    # A corpus that is not cut yet: nothing is checked, and nothing fails.
    ProbeAhead(window.create_pipeline("tuab") + both).begin(PRETRAIN.nodes[0], catalog, INPUTS)
    assert len(checked) == 1


def test_tables_that_the_run_has_not_made_yet(checked: list[Any]) -> None:
    whole = window.create_pipeline("hbn") + mix.create_pipeline(["hbn", "tuh"], ["tuh"]) + PRETRAIN + PROBE
    begin(whole, "split_persons")
    assert checked == []
    begin(whole, "split_persons", "hbn.cut_windows")
    assert len(checked) == 1
