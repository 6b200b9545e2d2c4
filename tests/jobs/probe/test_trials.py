"""Evaluation on the split: closed forms are fitted to the training part and tested once on the others."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from answered_store import SPLITS, answered_windows, start_of
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.jobs.probe.features import all_features
from eegfm.jobs.probe.probe import ProbeResult, checked_trials, probe
from eegfm.jobs.probe.trials import Trials
from eegfm.splits.config import Roles, SplitParams
from eegfm.splits.splits import split_persons
from eegfm.store.reader import SignalStore
from person_tables import people, split_table

HELD = list(SPLITS)[2::3]
PARAMS = ProbeParams.model_validate(
    {
        "tasks": ["regression", "binary"], "evaluation": "split", "n_untrained": 1, "n_bootstrap": 100,
        "lambdas": [0.1], "accelerator": "cpu", "transductive": False, "label_ratios": [1.0],
    }
)  # fmt: skip


def official() -> pd.DataFrame:
    """Persons as an official protocol divides them: a third is held out by the publisher."""
    table = people("mine", [person.partition(":")[2] for person in SPLITS])
    parts = ["held" if person in HELD else "rest" for person in SPLITS]
    table = table.assign(recording_id=[f"{person}:r" for person in SPLITS], official_split=parts)
    asked = SplitParams(protocol="official", validation_ratio=0.5, folds=2, test_sets={"mine": ("held",)})
    return split_persons({"mine": table}, Roles(pretrain=[], probe=["mine"]), asked)


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


def go(store: SignalStore, windows: pd.DataFrame | None = None, ledger: Path | None = None, **changes: Any) -> Any:
    params = ProbeParams.model_validate({**PARAMS.model_dump(), **changes})
    table = answered_windows() if windows is None else windows
    return probe(start_of(), {"mine": store}, {"mine": table}, official(), params, ledger)


@pytest.fixture(scope="module")
def done(store: SignalStore, ledger: Path) -> ProbeResult:
    found: ProbeResult = go(store, ledger=ledger)
    return found


def trials_of(
    store: SignalStore, splits: pd.DataFrame | None = None, windows: pd.DataFrame | None = None, **changes: Any
) -> Trials:
    params = ProbeParams.model_validate({**PARAMS.model_dump(), **changes})
    table = answered_windows() if windows is None else windows
    people_of = official() if splits is None else splits
    return checked_trials(start_of().header, {"mine": store}, {"mine": table}, people_of, params)[0]


def test_the_division_has_exactly_the_persons_of_the_table(done: ProbeResult, store: SignalStore) -> None:
    trials, table = trials_of(store), official()
    trained = {*trials.windows.loc[~trials.is_tested, "person"]}
    assert trained == {*table.loc[table["split"].isin(["train", "validation"]), "person"]} == {*SPLITS} - {*HELD}
    assert {*trials.tested.windows["person"]} == {*trials.tested.names} == {*HELD}
    assert len(trials.windows) == 6 * len(SPLITS)
    for key in done.metrics:
        rows = done.predictions[done.predictions["task"] == key.partition(".")[2]]
        assert {*rows["person"]} == {*HELD}
        assert not rows.duplicated(["features", "init", "recording_id", "start"]).any(), "tested once"


def test_answers_are_those_of_a_ridge_on_the_training_part(done: ProbeResult, store: SignalStore) -> None:
    trials = trials_of(store)
    features, known = all_features(start_of(), store, trials, PARAMS), trials.windows["person"].isin(HELD).to_numpy()
    for kind in ("pretrained", "band_power", "log_covariance"):
        values = StandardScaler().fit(features[kind][0][~known]).transform(features[kind][0])
        fit = Ridge(0.1 * (~known).sum()).fit(values[~known], trials.windows["target"][~known])
        rows = done.predictions[(done.predictions["task"] == "regression") & (done.predictions["features"] == kind)]
        np.testing.assert_allclose(rows["score"], fit.predict(values[known]), rtol=1e-4, atol=1e-4)
    labels = answered_windows().query("cut == 'binary' and person not in @HELD")["label"]
    majority = done.predictions[done.predictions["features"] == "majority"]
    assert {*majority.loc[majority["task"] == "binary", "predicted"]} == {labels.mode()[0]}


def test_protocol_and_label_efficiency_are_of_the_split(done: ProbeResult) -> None:
    n_validation = int((official()["split"] == "validation").sum())
    for metrics in done.metrics.values():
        protocol = metrics["protocol"]
        assert (protocol["evaluation"], protocol["n_folds"], protocol["identities"]) == ("split", 1, HELD)
        assert protocol["n_train_persons"] == 9 - n_validation
        assert protocol["n_validation_persons"] == n_validation > 0
        assert (protocol["n_windows"], protocol["n_train_windows"]) == (24, 54)
        assert protocol["tested_for"] == ["official test set mine held"]
        assert protocol["n_looks_before"] == 0
        [row] = metrics["label_efficiency"]
        assert row["n_persons"] == [9, 9]
        measure = "r2" if "r2" in metrics["pretrained"] else "balanced_accuracy"
        assert row["scores"]["pretrained"][measure] == metrics["pretrained"][measure]
        assert {*metrics["pretrained"]["mae" if measure == "r2" else measure]["per_person"]} == {*HELD}


def test_answers_of_test_persons_decide_nothing(done: ProbeResult, store: SignalStore) -> None:
    windows = answered_windows()
    is_test = windows["person"].isin(HELD) & (windows["cut"] == "regression")
    turned = windows.assign(target=windows["target"].mask(is_test, -3 * windows["target"]))
    again = go(store, turned, tasks=["regression"], lambdas=[0.1, 10.0], label_ratios=[])
    plain = go(store, tasks=["regression"], lambdas=[0.1, 10.0], label_ratios=[])
    pd.testing.assert_series_equal(again.predictions["score"], plain.predictions["score"])
    for kind in ("pretrained", "band_power"):
        first, second = (one.metrics["mine.regression"][kind]["lambdas"] for one in (plain, again))
        assert first == second


def test_other_fits_and_folds_are_looks_at_the_same_persons(
    done: ProbeResult, store: SignalStore, ledger: Path
) -> None:
    asked: dict[str, Any] = {"tasks": ["binary"], "label_ratios": []}
    for n_before, changes in enumerate(({"lambdas": [1.0]}, {"lambdas": [1.0], "evaluation": "cross_validation"}), 1):
        found = go(store, ledger=ledger, **asked, **changes)
        assert found.metrics["mine.binary"]["protocol"]["n_looks_before"] == n_before


def test_a_leak_is_caught(store: SignalStore) -> None:
    windows = answered_windows()
    of_test = windows["person"] == HELD[0]
    free = next(person for person in SPLITS if person not in HELD)
    with pytest.raises(SplitError, match=r"the probe: 1 recordings are of another person than said"):
        trials_of(store, windows=windows.assign(person=windows["person"].mask(of_test, free)))
    table = official()
    both = table.assign(split=table["split"].mask(table["person"] == HELD[0], "train"))
    with pytest.raises(SplitError, match="folds outside of split test"):
        trials_of(store, splits=both)


def test_a_split_without_training_persons_is_refused(store: SignalStore) -> None:
    with pytest.raises(
        SplitError, match=r"0 persons of splits train and validation and 13 of split test.*=cross_valid"
    ):
        trials_of(store, splits=split_table(dict.fromkeys(SPLITS, "test")))
    assert len(trials_of(store, split_table(dict.fromkeys(SPLITS, "test")), evaluation="cross_validation").names) == 13


def test_a_class_that_only_test_persons_have_is_refused(store: SignalStore) -> None:
    windows = answered_windows().query("cut == 'binary'")
    rare = windows.assign(label=windows["person"].isin(HELD[:2]).map({True: "open", False: "closed"}))
    with pytest.raises(SplitError, match=r"split train and validation: the training persons have \[54, 0\] windows"):
        trials_of(store, windows=rare, tasks=["binary"])
