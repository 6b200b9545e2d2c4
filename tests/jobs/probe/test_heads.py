"""Heads that a probe trains by gradients: what they answer, and that nothing else is trained or looked at."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.nn.functional import cross_entropy

from answered_store import SPLITS, answered_windows, start_of
from eegfm.checkpoint import Checkpoint
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.ledger import Ledger
from eegfm.jobs.probe import heads
from eegfm.jobs.probe.features import all_features
from eegfm.jobs.probe.probe import ProbeResult, checked_trials, probe
from eegfm.jobs.probe.trials import Trials
from eegfm.jobs.train.prepare import prepare
from eegfm.store.reader import SignalStore
from person_tables import split_table

N_EPOCHS, RATE = 8, 0.02
PARAMS = ProbeParams.model_validate(
    {
        "tasks": ["binary", "regression"], "method": "linear_probe", "evaluation": "split", "n_untrained": 1,
        "n_bootstrap": 100, "lambdas": [1.0], "accelerator": "cpu",
        "training": {"n_epochs": N_EPOCHS, "batch_size": 36, "learning_rate": RATE, "patience": None},
    }
)  # fmt: skip
HEADS = {"pretrained", "untrained"}
KINDS = HEADS | {"majority", "band_power", "relative_band_power", "log_covariance"}
Ran = tuple[Any, Checkpoint]
TESTED = [person for person, split in SPLITS.items() if split == "test"]


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


@pytest.fixture(scope="module")
def ran() -> list[Ran]:
    """Every training, and its outcome."""
    return []


@pytest.fixture(scope="module")
def done(store: SignalStore, ledger: Path, ran: list[Ran]) -> ProbeResult:
    whole = heads.fit_training

    def kept(job: Any, folder: Path) -> Any:
        found = whole(job, folder)
        ran.append((job, found.checkpoint))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "fit_training", kept)
        return probe(start_of(), {"mine": store}, {"mine": answered_windows()}, split_table(SPLITS), PARAMS, ledger)


def trials_of(
    store: SignalStore, splits: pd.DataFrame | None = None, windows: pd.DataFrame | None = None, **changes: Any
) -> Trials:
    table = answered_windows() if windows is None else windows
    params = ProbeParams.model_validate({**PARAMS.model_dump(), **changes})
    people = split_table(SPLITS) if splits is None else splits
    return checked_trials(start_of().header, {"mine": store}, {"mine": table}, people, params)[0]


def by_hand(job: Any, values: torch.Tensor, trials: Trials) -> tuple[np.ndarray[Any, Any], float]:
    """Train the head of a job in plain torch on (W, R, D) features: what it says of all windows, and its best epoch."""
    model = cast(Any, prepare(job).module).objective
    x = ((values - model.token_mean) / model.token_sd).flatten(1)
    head = torch.nn.Linear(x.shape[1], model.target.output_shape[0])
    head.load_state_dict({name.rpartition(".")[2]: value for name, value in model.head.state_dict().items()})
    train, selects = (torch.tensor((trials.windows["split"] == n).to_list()) for n in ("train", "validation"))
    answers = torch.tensor(trials.answers.values)  # type: ignore[attr-defined]
    is_class = not answers.is_floating_point()
    mean, sd = (answers[train].mean(), answers[train].std(correction=0)) if not is_class else (0.0, 1.0)
    weights = train.sum() / (2 * torch.bincount(answers[train])) if is_class else None

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        if not is_class:
            return ((head(x[rows])[:, 0] - (answers[rows] - mean) / sd) ** 2).mean()
        return (cross_entropy(head(x[rows]), answers[rows], reduction="none") * weights[answers[rows]]).mean()

    groups = [{"params": [head.weight], "weight_decay": 0.05}, {"params": [head.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    best, found = -np.inf, (np.empty(0), 0.0)
    for epoch in range(N_EPOCHS):
        fallen = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * (epoch - 1) / (N_EPOCHS - 2))) if epoch else 1.0
        for group in optimizer.param_groups:
            group["lr"] = RATE * fallen
        optimizer.zero_grad()
        loss_of(train).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            said = head(x)
            goodness = -float(loss_of(selects))
        if is_class:
            goodness = balanced_accuracy_score(answers[selects], said[selects].argmax(dim=1))
        if goodness > best:
            best = goodness
            found = (said.softmax(dim=1)[:, 1] if is_class else said[:, 0] * sd + mean).numpy(), epoch + 1.0
    return found


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_heads_answer_as_those_that_are_trained_by_hand(
    done: ProbeResult, store: SignalStore, ran: list[Ran], task: str
) -> None:
    trials = trials_of(store, tasks=[task])
    features = all_features(start_of(), store, trials, PARAMS)
    jobs = [job for job, _ in ran if job.params.supervised.target.spec.kind == task]
    for kind, job in zip(("pretrained", "untrained"), jobs, strict=True):
        values = torch.from_numpy(features[kind][0]).unflatten(1, (4, -1))
        expected, epoch = by_hand(job, values, trials)
        rows = done.predictions[(done.predictions["task"] == task) & (done.predictions["features"] == kind)]
        np.testing.assert_allclose(rows["score"], expected[trials.is_tested], rtol=1e-3, atol=1e-4)
        assert done.metrics[f"mine.{task}"][kind]["epochs"] == [[epoch]]


def test_the_table_has_trained_heads_beside_closed_forms(done: ProbeResult, ledger: Path) -> None:
    for key, measure in (("mine.binary", "balanced_accuracy"), ("mine.regression", "r2")):
        metrics, protocol = done.metrics[key], done.metrics[key]["protocol"]
        assert {kind for kind, found in metrics.items() if measure in found} == KINDS
        assert {kind for kind in KINDS if "lambdas" in metrics[kind]} == KINDS - HEADS - {"majority"}
        assert {kind for kind in KINDS if "epochs" in metrics[kind]} == HEADS
        assert "identity" in metrics["pretrained"]
        assert not any("transductive" in metrics[kind] for kind in KINDS)
        assert (protocol["method"], protocol["method_of_controls"]) == ("linear_probe", "ridge")
        assert protocol["training_n_epochs"] == N_EPOCHS
        assert (protocol["evaluation"], protocol["n_folds"], protocol["identities"]) == ("split", 1, TESTED)
        assert (protocol["n_train_persons"], protocol["n_validation_persons"]) == (6, 3)
        assert protocol["n_looks_before"] == 0
    rows = done.predictions[done.predictions["features"] == "pretrained"]
    assert {*rows["person"]} == {*TESTED}
    assert [look.task for look in Ledger(ledger).looks()] == ["mine.binary", "mine.regression"]


def test_encoders_are_bit_identical_and_met_no_test_person(done: ProbeResult, ran: list[Ran]) -> None:
    assert len(ran) == 4
    known = sorted([person] for person, split in SPLITS.items() if split != "test")
    for job, checkpoint in ran:
        encoder = {name: value for name, value in checkpoint.tensors.items() if name.startswith("encoder.")}
        assert encoder.keys() == {name for name in job.start.tensors if name.startswith("encoder.")}
        assert all(np.array_equal(value, job.start.tensors[name]) for name, value in encoder.items())
        assert sorted(names for names in checkpoint.header.persons if names not in job.start.header.persons) == known
    first, twin = (ran[k][0].start for k in (0, 1))
    assert first.weights_sha256() == start_of().weights_sha256() != twin.weights_sha256()
    assert twin.header.persons == []


def test_folds_train_and_select_on_other_persons(store: SignalStore) -> None:
    people = split_table(dict.fromkeys(SPLITS, "test"), fold=[k % 4 for k in range(len(SPLITS))])
    trials = trials_of(store, people, evaluation="cross_validation", inner_folds=3)
    trainings = heads.plan_trainings(start_of(), store, people, trials, PARAMS)
    assert {kind: [len(jobs) for jobs in inits] for kind, inits in trainings.items()} == {
        "pretrained": [4], "untrained": [4],
    }  # fmt: skip
    for fold, (job, other) in enumerate(zip(trainings["pretrained"][0], trainings["untrained"][0], strict=True)):
        of_split = job.mixture.groupby("split")["person"].agg(set)
        assert of_split["train"] | of_split["validation"] == {*SPLITS} - {*list(SPLITS)[fold::4]}
        assert not of_split["train"] & of_split["validation"]
        assert len(of_split["validation"]) >= 3
        pd.testing.assert_frame_equal(job.mixture, other.mixture)


def labelled(opened: set[str]) -> pd.DataFrame:
    """Windows of the binary task, all of whose persons have one class each."""
    windows = answered_windows()
    windows = windows[windows["cut"] == "binary"]
    return windows.assign(label=windows["person"].isin(opened).map({True: "open", False: "closed"}))


def test_who_selects_has_every_class_where_somebody_has(store: SignalStore) -> None:
    people = split_table(dict.fromkeys(SPLITS, "test"))
    windows = labelled({"mine:p03", "mine:p05", "mine:p11"})
    trials = trials_of(store, people, windows, evaluation="cross_validation", tasks=["binary"])
    for division in heads.divisions_of(trials):
        for rows in (division.train, division.selects):
            assert {*trials.windows.loc[rows, "label"]} == {"open", "closed"}


def test_nobody_to_select_on_is_refused_before_anything_is_computed(store: SignalStore) -> None:
    people = split_table(dict.fromkeys(SPLITS, "excluded") | {"mine:p03": "test", "mine:p05": "test"})
    with pytest.raises(SplitError, match=r"task mine.binary, fold 0: 1 training persons cannot be divided into some"):
        trials_of(store, people, evaluation="cross_validation")


def test_a_test_person_in_training_is_caught(store: SignalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = trials_of(store)
    [division] = heads.divisions_of(trials)
    is_leaked = trials.windows["person"].to_numpy() == TESTED[0]
    leaking = heads.HeadDivision(division.train | is_leaked, division.selects, division.test)
    monkeypatch.setattr(heads, "divisions_of", lambda _: [leaking])
    trainings = heads.plan_trainings(start_of(), store, split_table(SPLITS), trials, PARAMS)
    monkeypatch.setattr(heads, "fit_training", None)  # a training is an error
    with pytest.raises(SplitError, match=r"1 persons \(mine:p09\) would be tested on, but are in split train"):
        heads.train_heads(trainings, store, trials, PARAMS)
