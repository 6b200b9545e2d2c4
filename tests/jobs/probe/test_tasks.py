"""Probes of several tasks and corpora: classes beside numbers, features shared, one section of the metrics each."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from eegfm.checkpoint import Checkpoint
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.jobs.probe import probe as job
from eegfm.store.reader import SignalStore
from empty_ledgers import empty_ledger
from jobs.probe.test_probe import PERSONS, _splits

SHARED = {"n_untrained": 2, "lambdas": (0.1, 100.0), "n_bootstrap": 200, "accelerator": "cpu", "inner_folds": 3}
AGES = dict(zip(PERSONS, (6.5, 20.0, 9.0, 15.5, 11.0, 8.25), strict=True))


@pytest.fixture(scope="module")
def cuts(windows: pd.DataFrame) -> pd.DataFrame:
    """The windows with classes, the same windows with a number per person, and fewer with a number of their own."""
    age = windows.assign(cut="age", label=None, target=windows["person"].map(AGES))
    runs = windows[windows["recording_id"].str.endswith("R01")].assign(cut="time", label=None)
    times = pd.concat(
        [runs.assign(start=start, n_windows=1, target=0.5 + 0.1 * k) for k, start in enumerate((0, 300, 700, 1500))]
    )
    times["target"] += np.arange(len(times)) * 0.01
    return pd.concat([windows, age, times], ignore_index=True)


def params(*tasks: Any, **changes: Any) -> ProbeParams:
    return ProbeParams.model_validate({**SHARED, "tasks": tasks, **changes})


@pytest.fixture(scope="module")
def result(checkpoint: Checkpoint, store: SignalStore, cuts: pd.DataFrame) -> job.ProbeResult:
    return job.probe(
        checkpoint, {"sim": store}, {"sim": cuts}, _splits(), params("eyes", "age", "time"), empty_ledger()
    )


def _probe(*args: Any) -> job.ProbeResult:
    """Nobody has looked before."""
    return job.probe(*args, empty_ledger())


def rows_of(result: job.ProbeResult, task: str, kind: str = "pretrained", transductive: bool = False) -> pd.DataFrame:
    table = result.predictions
    is_row = (table["task"] == task) & (table["features"] == kind) & (table["transductive"] == transductive)
    return table[is_row]


def test_each_task_has_a_section_that_names_it(result: job.ProbeResult) -> None:
    assert list(result.metrics) == ["sim.eyes", "sim.age", "sim.time"]
    for key, metrics in result.metrics.items():
        protocol = metrics["protocol"]
        assert f"{protocol['corpus']}.{protocol['task']}" == key
        assert {"pretrained", "untrained", "band_power", "paired_difference"} <= set(metrics)
    assert json.loads(json.dumps(result.metrics, allow_nan=False)) == result.metrics
    assert result.predictions["task"].unique().tolist() == ["eyes", "age", "time"]
    assert set(result.predictions["corpus"]) == {"sim"}


def test_a_task_among_others_has_the_numbers_that_it_has_alone(
    result: job.ProbeResult,
    checkpoint: Checkpoint,
    store: SignalStore,
    cuts: pd.DataFrame,
) -> None:
    for name in ("eyes", "time"):
        alone = _probe(checkpoint, {"sim": store}, {"sim": cuts}, _splits(), params(name))
        assert alone.metrics == {f"sim.{name}": result.metrics[f"sim.{name}"]}
        mine = result.predictions[result.predictions["task"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone.predictions, mine)


def expected(table: pd.DataFrame) -> dict[str, float]:
    truth, predicted = table["target"], table["score"]
    return {
        "r2": r2_score(truth, predicted),
        "pearson": pearsonr(truth, predicted).statistic,
        "nrmse": root_mean_squared_error(truth, predicted) / np.std(truth),
        "mae": mean_absolute_error(truth, predicted),
    }


@pytest.mark.parametrize(("task", "transductive"), [("age", False), ("time", False), ("time", True)])
def test_metrics_of_numbers_follow_from_the_predictions(result: job.ProbeResult, task: str, transductive: bool) -> None:
    for kind, n_inits in (("pretrained", 1), ("untrained", 2), ("band_power", 1)):
        block: Mapping[str, Any] = result.metrics[f"sim.{task}"][kind]
        block = block["transductive"] if transductive else block
        table = rows_of(result, task, kind, transductive=transductive)
        assert table["label"].isna().all()
        assert table["predicted"].isna().all()
        by_init = [one for _, one in table.groupby("init")]
        assert len(by_init) == n_inits
        for name in ("r2", "pearson", "nrmse", "mae"):
            assert block[name]["inits"] == pytest.approx([expected(one)[name] for one in by_init])
        assert ("persons" in block) == (task == "age")
        if task == "age":
            means = [one.groupby("person")[["target", "score"]].mean() for one in by_init]
            for name in ("r2", "pearson", "nrmse", "mae"):
                assert block["persons"][name]["inits"] == pytest.approx([expected(one)[name] for one in means])


def test_a_number_of_a_person_has_no_row_of_person_wise_z_scores(result: job.ProbeResult) -> None:
    age, time = result.metrics["sim.age"], result.metrics["sim.time"]
    assert "transductive" not in age["pretrained"] | age["paired_difference"]
    assert (age["protocol"]["is_of_person"], age["protocol"]["transductive"]) == (True, False)
    assert not rows_of(result, "age", transductive=True).size
    assert "transductive" in time["pretrained"]
    assert (time["protocol"]["is_of_person"], time["protocol"]["transductive"]) == (False, True)
    assert time["protocol"]["answer"] == "number"
    assert "classes" not in time["protocol"]


def test_paired_differences_of_numbers(result: job.ProbeResult) -> None:
    age = result.metrics["sim.age"]
    errors = {kind: age[kind]["persons"]["mae"]["per_person"] for kind in ("pretrained", "untrained")}
    found = age["paired_difference"]["untrained"]
    better = [errors["untrained"][person] - errors["pretrained"][person] for person in PERSONS]
    assert found["of"] == "-mae"
    assert found["mean"] == pytest.approx(np.mean(better))
    assert found["r2"]["difference"] == pytest.approx(
        age["pretrained"]["persons"]["r2"]["pooled"] - age["untrained"]["persons"]["r2"]["pooled"]
    )


def test_features_of_the_same_windows_are_computed_once(
    checkpoint: Checkpoint,
    store: SignalStore,
    cuts: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: list[str] = []
    real = job.all_features

    def counted(*args: Any) -> Any:
        computed.append(args[2].task.key)
        return real(*args)

    monkeypatch.setattr(job, "all_features", counted)
    soft, mean = {"name": "soft", "cut": "eyes", "lambdas": [5.0]}, {"name": "m", "cut": "age", "pooling": "mean"}
    asked = params("eyes", "age", soft, mean, "time", n_untrained=1, transductive=False)
    found = _probe(checkpoint, {"sim": store}, {"sim": cuts}, _splits(), asked)
    assert computed == ["sim.eyes", "sim.m", "sim.time"]
    assert list(found.metrics) == ["sim.eyes", "sim.age", "sim.soft", "sim.m", "sim.time"]
    assert found.metrics["sim.soft"]["protocol"]["lambdas"] == [5.0]
    assert set(np.ravel(found.metrics["sim.soft"]["pretrained"]["lambdas"])) == {5.0}
    assert found.metrics["sim.soft"]["protocol"]["cut"] == "eyes"
    assert found.metrics["sim.m"]["pretrained"] != found.metrics["sim.age"]["pretrained"]


def test_two_corpora_are_probed_each_on_its_tasks(
    checkpoint: Checkpoint,
    store: SignalStore,
    cuts: pd.DataFrame,
) -> None:
    """Persons and folds of one corpus are nothing to those of the other."""
    other = cuts[(cuts["cut"] == "eyes") & cuts["person"].isin(PERSONS[3:])].assign(corpus="too")
    here = cuts[cuts["person"].isin(PERSONS[:3])]
    splits = _splits()
    splits.loc[splits["person"].isin(PERSONS[3:]), "corpus"] = "too"
    splits["fold"] = [0, 0, 1, 2, 2, 3]  # a fold without a person of a corpus is none of that corpus
    asked = params("eyes", "time", n_untrained=1, transductive=False, lambdas=[1.0], inner_folds=5)
    found = job.probe(
        checkpoint, {"sim": store, "too": store}, {"sim": here, "too": other}, splits, asked, empty_ledger()
    )
    assert list(found.metrics) == ["sim.eyes", "sim.time", "too.eyes"]
    assert found.metrics["sim.eyes"]["protocol"]["identities"] == PERSONS[:3]
    assert found.metrics["too.eyes"]["protocol"]["identities"] == PERSONS[3:]
    alone = _probe(checkpoint, {"sim": store}, {"sim": here}, splits, asked)
    assert {key: found.metrics[key] for key in alone.metrics} == alone.metrics


def test_numbers_that_do_not_vary_are_refused(checkpoint: Checkpoint, store: SignalStore, cuts: pd.DataFrame) -> None:
    for changed in (cuts["target"] * 0 + 4, cuts["target"].where(cuts["cut"] != "age", 4.0)):
        with pytest.raises(SplitError, match=r"task sim.age: all 120 windows of 6 test persons have the number 4;"):
            job.probe(
                checkpoint,
                {"sim": store},
                {"sim": cuts.assign(target=changed)},
                _splits(),
                params("age"),
                empty_ledger(),
            )


def test_a_cut_with_classes_and_numbers_is_refused(
    checkpoint: Checkpoint,
    store: SignalStore,
    windows: pd.DataFrame,
) -> None:
    with pytest.raises(SplitError, match=r"task sim.eyes: windows of cut 'eyes' have classes and numbers"):
        job.probe(
            checkpoint, {"sim": store}, {"sim": windows.assign(target=1.0)}, _splits(), params("eyes"), empty_ledger()
        )


def test_a_planted_number_is_found(checkpoint: Checkpoint, store: SignalStore, cuts: pd.DataFrame) -> None:
    """Alpha is stronger in one run of each person: its number is known from the band power of a window."""
    planted = cuts[cuts["cut"] == "eyes"].assign(cut="alpha", target=lambda t: (t["label"] == "closed") * 8.0 + 4)
    planted = planted.assign(label=None)
    asked = params("alpha", n_untrained=1, transductive=False)
    found = _probe(checkpoint, {"sim": store}, {"sim": planted}, _splits(), asked).metrics["sim.alpha"]
    assert found["band_power"]["r2"]["pooled"] > 0.5
    assert found["band_power"]["pearson"]["pooled"] > 0.7
