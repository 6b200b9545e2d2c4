"""A whole finetuning of three tasks on a small store, with its controls, and what a second run does."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, r2_score, roc_auc_score

from answered_store import SPLITS, TARGETS, TUNING, answered_windows, start_of
from eegfm.errors import ConfigError, SplitError
from eegfm.jobs.finetune import finetune as whole_job
from eegfm.jobs.finetune import tested
from eegfm.jobs.finetune.asked import AskedTask
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.divisions import Division
from eegfm.jobs.finetune.finetune import FinetuneResult, finetune
from eegfm.jobs.finetune.said import TestWindows as AskedWindows
from eegfm.jobs.finetune.shares import thinned
from eegfm.jobs.finetune.trained import Model, predictions_of, train
from eegfm.jobs.weights.answering import load_supervised
from eegfm.store.reader import SignalStore
from eegfm.windows.config import WindowParams
from person_tables import split_table

CUTS = {
    "mine": cast(WindowParams, SimpleNamespace(cuts={k: SimpleNamespace(target_spec=t) for k, t in TARGETS.items()}))
}
PARAMS = FinetuneParams.model_validate(
    {
        **TUNING.model_dump(exclude={"head"}), "head": {"name": "linear"}, "n_untrained": 1, "n_bootstrap": 100,
        "tasks": ["binary", "regression", "multilabel"], "fit": {"inner_folds": 3},
        "eegnet": {"name": "eegnet", "n_temporal_filters": 2, "n_pointwise_filters": 4},
    }
)  # fmt: skip
MODELS = {
    *("finetuned", "scratch", "eegnet", "frozen_ridge", "untrained_ridge"),
    *("majority", "band_power", "relative_band_power", "log_covariance"),
}
TESTED = [person for person, split in SPLITS.items() if split == "test"]
Go = Callable[..., FinetuneResult]


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finetune")


@pytest.fixture(scope="module")
def go(store: SignalStore, place: Path) -> Go:
    """Finetune; a folder of its own for what is written is optional, and so are changed tables and parameters."""

    def run(
        folder: Path = place,
        *,
        windows: pd.DataFrame | None = None,
        splits: Any = SPLITS,
        start: Any = None,
        **changes: Any,
    ) -> Any:
        table = answered_windows() if windows is None else windows
        people = split_table(splits) if isinstance(splits, dict) else splits
        params = FinetuneParams.model_validate({**PARAMS.model_dump(), **changes})
        return finetune(
            start or start_of(),
            {"mine": store},
            {"mine": table},
            CUTS,
            people,
            params,
            folder / "runs",
            folder / "ledger",
        )

    return run


@pytest.fixture(scope="module")
def done(go: Go) -> FinetuneResult:
    return go()


def test_all_models_answer_all_windows_of_the_test_persons_alone(done: FinetuneResult) -> None:
    assert done.metrics.keys() == done.encoders.keys() == {"mine.binary", "mine.regression", "mine.multilabel"}
    for key, metrics in done.metrics.items():
        rows = done.predictions[done.predictions["task"] == key]
        assert {*rows["model"]} == MODELS == metrics["models"].keys()
        for _, own in rows.groupby("model"):
            assert sorted(zip(own["person"], own["start"], strict=True)) == [
                (person, 400 * k) for person in TESTED for k in range(6)
            ]
        protocol = metrics["protocol"]
        assert protocol["evaluation"] == "split"
        assert protocol["divisions"] == {"split": {"n_test_windows": 24, "n_test_persons": 4}}
        assert protocol["simulated"]
        assert protocol["pretrained_persons"] == []
        json.dumps(metrics, allow_nan=False)


def test_scores_are_those_of_the_predictions(done: FinetuneResult) -> None:
    for key, score in (("binary", balanced_accuracy_score), ("regression", r2_score), ("multilabel", roc_auc_score)):
        rows = done.predictions[done.predictions["task"] == f"mine.{key}"]
        for model, own in rows.groupby("model"):
            truths, said = (np.stack(own[name].to_list()) for name in ("truth", "said"))
            if key == "binary":
                truths, said = truths[:, 0], said.argmax(axis=1)
            found = done.metrics[f"mine.{key}"]["models"][model]["window"]
            name = done.metrics[f"mine.{key}"]["compared_by"]
            assert found[name]["value"] == pytest.approx(score(truths, said), abs=1e-6), (key, model)


def test_published_encoders_answer_what_the_table_says(done: FinetuneResult, store: SignalStore) -> None:
    from eegfm.inference.table_loader import TableLoader
    from eegfm.training.supervised.predicting import predict

    for key, checkpoint in done.encoders.items():
        rows = done.predictions[(done.predictions["task"] == key) & (done.predictions["model"] == "finetuned")]
        windows = rows[["corpus", "recording_id", "start"]].merge(
            answered_windows().drop_duplicates("start"), how="left", on="start", suffixes=("", "_of_first")
        )
        found = predict(load_supervised(checkpoint), TableLoader(store, windows, 7), accelerator="cpu").said
        np.testing.assert_allclose(found.reshape(24, -1), np.stack(rows["said"].to_list()), atol=1e-6)
        assert checkpoint.header.objective["target"]["classes"] == list(TARGETS[key.partition(".")[2]].classes)


def test_a_second_run_reads_what_was_said(done: FinetuneResult, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("nothing is predicted again")

    monkeypatch.setattr(tested, "predictions_of", never)
    again = go()
    assert again.metrics == done.metrics
    pd.testing.assert_frame_equal(again.predictions, done.predictions)
    pd.testing.assert_frame_equal(again.history, done.history)
    assert {k: c.identity() for k, c in again.encoders.items()} == {k: c.identity() for k, c in done.encoders.items()}


def test_looks_at_the_test_persons_are_counted(done: FinetuneResult, go: Go, place: Path, tmp_path: Path) -> None:
    before = {key: metrics["protocol"]["n_looks_before"] for key, metrics in done.metrics.items()}
    assert before == {"mine.binary": 0, "mine.regression": 0, "mine.multilabel": 0}
    shutil.copytree(place, tmp_path / "copy")
    runs = tmp_path / "copy" / "runs"
    assert len(list(runs.glob("*/result/result.json"))) == 9
    assert not list(runs.rglob("*.ckpt")), "a finished training keeps its result alone"
    forced = go(tmp_path / "copy", tasks=["binary"], score_again=True, keep_runs=1)
    assert len(list(runs.glob("*/result/result.json"))) == 3, "those of this finetuning"
    assert len(list(runs.glob("said/*.parquet"))) == len(list(runs.glob("said/*.json"))) == 1
    assert forced.metrics["mine.binary"]["protocol"]["n_looks_before"] == 1
    own, first = (d.predictions[d.predictions["task"] == "mine.binary"] for d in (forced, done))
    pd.testing.assert_frame_equal(own.reset_index(drop=True), first.reset_index(drop=True))


def test_answers_of_test_persons_decide_nothing_but_their_scores(done: FinetuneResult, go: Go, tmp_path: Path) -> None:
    """Neither a penalty nor a checkpoint, nor a monitor, is chosen on them."""
    windows = answered_windows()
    is_test = windows["person"].isin(TESTED) & (windows["cut"] == "binary")
    turned = windows["label"].map({"open": "closed", "closed": "open"})
    permuted = windows.assign(label=windows["label"].mask(is_test, turned))
    other = go(tmp_path, windows=permuted, tasks=["binary"], n_epochs=1)
    first = done.predictions[done.predictions["task"] == "mine.binary"].reset_index(drop=True)
    key = ["model", "init", "person", "start"]
    pd.testing.assert_frame_equal(
        other.predictions.drop(columns="truth").sort_values(key, ignore_index=True),
        first.drop(columns="truth").sort_values(key, ignore_index=True),
    )
    steps = [one.encoders["mine.binary"].header.n_steps for one in (done, other)]
    assert steps[0] == steps[1]
    weights = [one.encoders["mine.binary"].weights_sha256() for one in (done, other)]
    assert weights[0] == weights[1]
    scores = [one.metrics["mine.binary"]["models"]["band_power"]["window"]["auroc"]["value"] for one in (done, other)]
    assert scores[0] == pytest.approx(1 - scores[1])


def test_shuffled_answers_score_chance(go: Go, tmp_path: Path) -> None:
    """Whatever tells a model the answer of a test window would show here."""
    windows, rng = answered_windows(), np.random.default_rng(5)
    own = windows.index[windows["cut"] == "binary"]
    windows.loc[own, "label"] = rng.permutation(windows.loc[own, "label"].to_numpy())
    models = go(tmp_path, windows=windows, tasks=["binary"]).metrics["mine.binary"]["models"]
    for model in sorted(MODELS - {"majority"}):
        block = models[model]["window"]["auroc"]
        low, high = block["interval_95"]
        assert abs(block["value"] - 0.5) < 3 * max(high - low, 0.2) / (2 * 1.96), (model, block)


@pytest.mark.parametrize("person", ["mine:p09", "mine:p12"])
def test_a_test_person_in_training_is_refused(go: Go, person: str, tmp_path: Path) -> None:
    """Under the name of a person who is trained on: whose recordings they are is written in the splits."""
    windows = answered_windows()
    leaked = windows.assign(person=windows["person"].mask(windows["person"] == person, "mine:p00"))
    with pytest.raises(SplitError, match=f"{person}:r is of {person}"):
        go(tmp_path, windows=leaked, tasks=["binary"])


def test_a_person_under_two_names_is_refused(go: Go, tmp_path: Path) -> None:
    splits = split_table(SPLITS)
    splits.loc[splits["person"] == TESTED[0], "identity"] = "mine:p00"
    with pytest.raises(SplitError, match="mine:p00"):
        go(tmp_path, splits=splits, tasks=["binary"])


def test_test_persons_of_the_pretraining_are_refused(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = split_table(SPLITS)
    at = splits["person"] == TESTED[0]
    splits.loc[at, "keys"] = pd.Series([["NDA:ndaraa000aaa"]] * len(splits), index=splits.index)[at]
    with pytest.raises(SplitError, match=rf"1 .*{TESTED[0]}"):
        go(tmp_path, splits=splits, tasks=["binary"])


def test_tasks_without_windows_or_answers_are_refused_before_any_training(go: Go, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finetune"):
        go(tmp_path, tasks=["binary", "nothing"])
    empty = answered_windows().assign(label=None)
    with pytest.raises(ConfigError, match=r"windows of mine\.binary have no answer"):
        go(tmp_path, windows=empty, tasks=["regression", "binary"])
    assert not list(tmp_path.glob("runs/*"))


def test_history_has_a_row_per_validation_of_each_model(done: FinetuneResult) -> None:
    assert {*done.history["model"]} == {"finetuned", "scratch", "eegnet"}
    assert (done.history.groupby(["task", "model"]).size() == PARAMS.n_epochs).all()
    assert {"val_balanced_accuracy", "val_r2", "val_auroc"} <= {*done.history}
    monitors = {"mine.binary": "val/balanced_accuracy", "mine.regression": "val/loss", "mine.multilabel": "val/auroc"}
    assert done.history.groupby("task")["monitor"].unique().map(list).to_dict() == {k: [v] for k, v in monitors.items()}
    values = done.metrics["mine.binary"]["values"]
    assert {"val/loss", "val_loss", "val/balanced_accuracy", "val_balanced_acc", "train_loss"} <= values.keys()
    assert {"test/loss", "test_loss", "test_acc", "test_auroc", "test_f1_score", "test_precision"} <= values.keys()
    scores = done.metrics["mine.binary"]["models"]["finetuned"]["window"]
    assert values["test_balanced_acc"] == values["test/balanced_accuracy"] == scores["balanced_accuracy"]["value"]
    rows = done.predictions[(done.predictions["task"] == "mine.binary") & (done.predictions["model"] == "finetuned")]
    truths, said = (np.stack(rows[name].to_list()) for name in ("truth", "said"))
    assert values["test_loss"] == pytest.approx(log_loss(truths[:, 0], said[:, 1]), abs=1e-6)


def test_every_model_has_an_audit_of_persons(done: FinetuneResult) -> None:
    for key, metrics in done.metrics.items():
        for model, found in metrics["models"].items():
            audit = found["identity"]
            assert 0 <= audit["between_persons"] <= 1, (key, model)
            assert audit["between_persons_by_chance"] == pytest.approx(3 / 23)
            assert 0 <= audit["accuracy"] <= 1
            assert audit["chance"] == 1 / 4
            assert (audit["of_answer"] is None) == (key == "mine.multilabel")
            has_gap = model in ("frozen_ridge", "band_power", "relative_band_power", "log_covariance")
            assert ("transductive_gap" in audit) == has_gap, (key, model)
    assert done.metrics["mine.binary"]["protocol"]["label_follows_order"] is False
    assert done.metrics["mine.binary"]["protocol"]["label_order"]["n_persons"] == 4
    assert "label_order" not in done.metrics["mine.regression"]["protocol"]


def test_what_closed_forms_chose_stands_in_the_metrics(done: FinetuneResult) -> None:
    for key, n_outputs in (("binary", 1), ("regression", 1), ("multilabel", 4)):
        models = done.metrics[f"mine.{key}"]["models"]
        for name in ("frozen_ridge", "untrained_ridge", "band_power", "log_covariance"):
            [row] = models[name]["chosen"]
            assert (row["init"], row["division"]) == (0, "split")
            assert len(row["outputs"]) == n_outputs
            assert all(output["lambdas"] in PARAMS.fit.lambdas for output in row["outputs"] if output)
        assert not {"chosen"} & {*models["finetuned"], *models["eegnet"]}, "trained by gradients"


def test_no_answer_depends_on_the_order_of_windows(done: FinetuneResult, store: SignalStore) -> None:
    """The protocol names no row that depends on it: reversed windows are answered as before, one by one."""
    for kind in ("binary", "regression"):
        assert done.metrics["mine.binary"]["protocol"]["order_dependent_rows"] == []
        windows = answered_windows().query("cut == @kind and person in @TESTED").reset_index(drop=True)
        small = PARAMS.model_copy(update={"predict_batch_size": 5})
        said = [
            predictions_of(
                done.encoders[f"mine.{kind}"], AskedWindows(table, np.zeros(len(table))), store, small, "channels"
            ).said
            for table in (windows, windows[::-1].reset_index(drop=True))
        ]
        np.testing.assert_allclose(said[1][::-1], said[0], atol=1e-6)
        assert np.ptp(said[0]) > 1e-3, "windows have answers of their own"


def test_another_start_is_another_run(go: Go, tmp_path: Path) -> None:
    """A closed form trains nothing of the start: its name alone tells that features are others."""
    first, start = start_of(), start_of()
    changed = {name: value + 0.3 if name.startswith("encoder.") else value for name, value in start.tensors.items()}
    choices = {"tasks": ["binary"], "strategy": {"name": "ridge", "inner_folds": 3}, "n_epochs": 1}
    own, other = (go(tmp_path, start=one, **choices) for one in (first, dataclasses.replace(start, tensors=changed)))
    said = [np.stack(d.predictions.loc[d.predictions["model"] == "finetuned", "said"].to_list()) for d in (own, other)]
    assert np.abs(said[0] - said[1]).max() > 1e-3
    protocols = [d.metrics["mine.binary"]["protocol"] for d in (own, other)]
    assert [protocol["n_looks_before"] for protocol in protocols] == [0, 1]
    assert [protocol["strategy"]["name"] for protocol in protocols] == ["ridge", "ridge"]


def test_shares_of_the_training_persons(
    done: FinetuneResult, go: Go, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole share is the run itself; on a smaller one, all models are trained without the other persons."""
    asked_for: list[Model] = []
    monkeypatch.setattr(whole_job, "train", lambda model, runs: (asked_for.append(model), train(model, runs))[1])
    folder, choices = tmp_path / "copy", {"tasks": PARAMS.model_dump()["tasks"][:1], "label_ratios": (1.0, 0.01, 0.5)}
    shutil.copytree(place, folder)
    found = go(folder, **choices)
    assert len(list(folder.glob("runs/*"))) == len(list(place.glob("runs/*"))) + 3, "nothing is trained twice"
    metrics = found.metrics["mine.binary"]
    few, half, whole = metrics["label_efficiency"]
    assert [row["ratio"] for row in (few, half, whole)] == [0.01, 0.5, 1.0]
    assert [row["n_persons"] for row in (few, half, whole)] == [[0, 0], [3, 3], [6, 6]]
    assert [row["n_fitted_persons"] for row in (few, half, whole)] == [[0, 0], [5, 5], [9, 9]]
    assert few["too_few"] == (
        "task mine.binary: no training person in a division; take a larger share, or more persons"
    )
    name, models = metrics["compared_by"], metrics["models"]
    assert whole["scores"] == {model: {name: own["window"][name]} for model, own in models.items()}
    assert half["scores"].keys() == MODELS
    assert metrics["models"] == done.metrics["mine.binary"]["models"]
    assert len(found.history) == (done.history["task"] == "mine.binary").sum(), "trainings on shares have none"
    looks = metrics["protocol"]["n_looks_before"]
    assert looks == 1, "the run before it; all shares are one look"

    [file] = [file for file in folder.glob("runs/said/*.parquet") if (pd.read_parquet(file)["ratio"] == 0.5).any()]
    said = pd.read_parquet(file).query("ratio == 0.5")
    cut = answered_windows().query("cut == 'binary'")
    task = AskedTask("mine.binary", PARAMS.asked[0], TARGETS["binary"], cut, cast(SignalStore, None))
    left = thinned(task, Division("split", split_table(SPLITS)), 0.5, 0)
    of_run, of_half = asked_for[:3], asked_for[3:]
    assert [model.name for model in of_run] == [model.name for model in of_half] == ["finetuned", "scratch", "eegnet"]
    selecting = {person for person, split in SPLITS.items() if split == "validation"}
    for model in of_half:
        by_split = model.job.mixture.groupby("split")["person"].agg(set)
        assert by_split["train"] == {*left.task.windows["person"]} - selecting - {*TESTED}
        assert len(by_split["train"]) == 3
        assert by_split["validation"] == selecting
        one, two = (np.stack(t.loc[t["model"] == model.name, "said"].to_list()) for t in (said, found.predictions))
        assert np.abs(one - two).max() > 1e-4, "trained on fewer persons"
    splits = left.fitted.splits
    fitted = cut[cut["person"].isin(splits.loc[splits["split"].isin(("train", "validation")), "person"])]
    share = (fitted["label"] == "open").mean()
    np.testing.assert_allclose(np.stack(said.query("model == 'majority'")["said"].to_list())[:, 1], share, atol=1e-6)

    def never(*_: Any) -> None:
        raise AssertionError("nothing is predicted again")

    monkeypatch.setattr(tested, "predictions_of", never)
    again = go(folder, **choices)
    assert again.metrics == found.metrics
    pd.testing.assert_frame_equal(again.predictions, found.predictions)
