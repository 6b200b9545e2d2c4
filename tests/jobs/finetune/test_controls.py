"""Closed forms as strategies and as controls: each with each encoder, and with each kind of answer."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from answered_store import MONTAGE, SMALL, TARGETS, answered_task, answered_windows, start_of
from contracts.finetuning_cases import CLOSED, ENCODERS, IS_FULL
from eegfm.errors import SplitError
from eegfm.evaluation.config import FitParams
from eegfm.jobs.finetune import controls as controls_module
from eegfm.jobs.finetune import said as said_module
from eegfm.jobs.finetune import trained as trained_module
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.controls import Controls, pooling_of
from eegfm.jobs.finetune.divisions import ONCE, Division
from eegfm.jobs.finetune.said import Said
from eegfm.store.reader import SignalStore
from eegfm.windows.answers import checked_answers

FAMILIES = [name for name in ENCODERS if name not in ("braindecode", "patch_transformer-register")]
KINDS = cycle(TARGETS)
CASES = [
    (closed, encoder, kind)
    for encoder in FAMILIES
    for closed in CLOSED
    for kind in (TARGETS if IS_FULL else [next(KINDS)])
]
TRAINS = ("train", "validation")


@pytest.fixture(scope="module")
def store(answered: SignalStore) -> SignalStore:
    return answered


def said_by(
    store: SignalStore, encoder: Any, kind: str, closed: dict[str, Any] | None = None, seed: int = 0
) -> tuple[Controls, Said]:
    task = answered_task(store, kind)
    params = FinetuneParams.model_validate(
        {"tasks": [kind], "n_untrained": 1, "fit": {"inner_folds": 3}, "accelerator": "cpu"}
        | ({} if closed is None else {"strategy": closed})
    )
    assert params.tasks is not None
    controls = Controls(
        f"mine.{kind}", task.target, task.windows, store, start_of(encoder), params, params.closed(params.tasks[0])
    )
    tested = task.windows.merge(task.splits.query("split == 'test'")[["person", "identity"]], on="person")
    shuffled = tested.sample(frac=1, random_state=seed, ignore_index=True)
    tests = {ONCE: said_module.TestWindows(shuffled, checked_answers(shuffled, task.target, "", to_learn=False))}
    said = Said(task.target, tests)
    controls.add_to(said, Division(ONCE, task.splits))
    return controls, said


@pytest.mark.parametrize(("closed", "encoder", "kind"), CASES)
def test_a_closed_form_answers_every_kind_behind_every_encoder(
    closed: str, encoder: str, kind: str, store: SignalStore
) -> None:
    _, said = said_by(store, ENCODERS[encoder], kind, CLOSED[closed])
    for model in ("finetuned", "frozen_ridge", "untrained_ridge", "majority", "band_power", "log_covariance"):
        [found] = said.runs(model)
        assert found.shape == (24, *TARGETS[kind].output_shape), model
        assert np.isfinite(found).all()
        if TARGETS[kind].kind in ("binary", "multiclass", "multioutput"):
            np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-5)


def test_answers_stand_at_their_windows(store: SignalStore) -> None:
    """In whatever order the test windows come."""
    by_window = []
    for seed in (0, 1):
        _, said = said_by(store, SMALL, "regressions", {"name": "ridge", "lambdas": [1.0]}, seed)
        table = said.windows[["recording_id", "start"]].assign(said=[*said.runs("finetuned")[0]])
        by_window.append(np.stack(table.sort_values(["recording_id", "start"])["said"].to_list()))
    np.testing.assert_allclose(by_window[0], by_window[1], atol=1e-5)
    assert by_window[0].std(axis=0).min() > 0.1


def test_one_penalty_leaves_nothing_to_choose_on() -> None:
    params = FinetuneParams.model_validate({"tasks": ["a"], "strategy": {"name": "ridge", "lambdas": [1.0]}})
    assert params.tasks is not None
    fit = params.closed(params.tasks[0])
    assert fit is not None
    assert (fit.method, fit.lambdas, fit.transductive) == ("ridge", (1.0,), False)


def test_controls_have_no_transductive_scores() -> None:
    params = FinetuneParams.model_validate({"tasks": ["a"], "fit": {"inner_folds": 3}})
    assert (params.fit.inner_folds, params.fit.transductive) == (3, False), "the protocol says what was done"
    assert FinetuneParams.model_validate(params.model_dump()) == params
    with pytest.raises(ValueError, match=r"transductive is true, .* leave fit\.transductive out"):
        FinetuneParams.model_validate({"tasks": ["a"], "fit": {"transductive": True}})


def test_a_class_that_training_lacks_is_refused(store: SignalStore) -> None:
    windows = answered_windows()
    task = answered_task(store, "multiclass")
    trained = task.splits.loc[task.splits["split"].isin(TRAINS), "person"]
    lacks = windows[
        ~((windows["cut"] == "multiclass") & windows["person"].isin(trained) & (windows["label"] == "calm"))
    ]
    changed = answered_task(store, "multiclass", lacks)
    params = FinetuneParams.model_validate(
        {"tasks": ["multiclass"], "n_untrained": 1, "fit": {"inner_folds": 3}, "accelerator": "cpu"}
    )
    controls = Controls("mine.multiclass", changed.target, changed.windows, store, start_of(), params)
    tested = changed.windows.merge(changed.splits.query("split == 'test'")[["person", "identity"]], on="person")
    said = Said(
        changed.target,
        {ONCE: said_module.TestWindows(tested, checked_answers(tested, changed.target, "", to_learn=False))},
    )
    with pytest.raises(SplitError, match=r"have \[0, 18, 18\] windows per class; every class is needed"):
        controls.add_to(said, Division(ONCE, changed.splits))


def test_no_feature_can_know_an_answer(store: SignalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither features of controls nor predictions of trained models are computed from windows with answers."""
    seen: list[pd.DataFrame] = []

    def noting(genuine: Any) -> Any:
        def noted(*given: Any, **more: Any) -> Any:
            seen.extend(one for one in given if isinstance(one, pd.DataFrame))
            return genuine(*given, **more)

        return noted

    for module, name in (
        (controls_module, "encoder_features_of"),
        (controls_module, "control_features"),
        (trained_module, "TableLoader"),
    ):
        monkeypatch.setattr(module, name, noting(getattr(module, name)))
    monkeypatch.setattr(trained_module, "load_supervised", lambda *_: None)
    monkeypatch.setattr(trained_module, "predict", lambda *_, **__: None)
    for kind in ("binary", "regression", "multilabel"):
        controls, said = said_by(store, SMALL, kind, CLOSED["ridge"])
        assert {"label", "target", "targets"} <= {*controls.windows.columns}
        params = FinetuneParams.model_validate({"tasks": [kind], "accelerator": "cpu"})
        trained_module.predictions_of(start_of(), said.tests[ONCE], store, params, "channels")
    assert len(seen) == 12
    for table in seen:
        assert not {"label", "target", "targets"} & {*table.columns}


def test_windows_of_several_montages_are_pooled_by_their_mean() -> None:
    windows = answered_windows()
    assert pooling_of(windows, FitParams(pooling="channels")) == "channels"
    several = windows.assign(montage=["other", *[MONTAGE.name] * (len(windows) - 1)])
    assert pooling_of(several, FitParams(pooling="channels")) == "mean"


def test_layers_are_chosen_inside_the_training_persons(store: SignalStore) -> None:
    controls, said = said_by(store, SMALL, "binary", {**CLOSED["ridge"], "layers": "chosen"})
    assert controls.features["finetuned"][0].ndim == 3
    assert said.runs("finetuned")[0].shape == (24, 2)
