"""A probe counts how often its persons were scored before."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eegfm.checkpoint import Checkpoint
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.ledger import Ledger
from eegfm.jobs.probe import probe as job
from eegfm.jobs.probe.looks import look
from eegfm.store.reader import SignalStore
from jobs.probe.test_probe import _splits


def test_a_new_fit_or_encoder_is_a_look_and_a_repetition_is_none(
    checkpoint: Checkpoint, store: SignalStore, windows: pd.DataFrame, tmp_path: Path
) -> None:
    def looks_before(encoder: Checkpoint = checkpoint, splits: Any = None, **changes: Any) -> int:
        small = {"tasks": ["eyes"], "n_untrained": 1, "lambdas": (1.0,), "n_bootstrap": 100, "transductive": False}
        params = ProbeParams.model_validate({**small, "accelerator": "cpu", **changes})
        found = job.probe(
            encoder, {"sim": store}, {"sim": windows}, _splits() if splits is None else splits, params, tmp_path
        ).metrics
        return int(found["sim.eyes"]["protocol"]["n_looks_before"])

    assert looks_before() == 0
    assert looks_before(lambdas=(2.0,)) == 1
    tensors = {name: value * 2 for name, value in checkpoint.tensors.items()}
    assert looks_before(Checkpoint(tensors, checkpoint.header)) == 2
    assert looks_before() == 0, "the same again"
    assert looks_before(n_bootstrap=120, batch_size=7) == 0, "neither decides a prediction"
    assert looks_before(label_ratios=[1.0]) == 3, "more is scored"
    splits = _splits()
    folds = splits["fold"].mask(splits["split"] == "test", splits["fold"] // 2)
    assert looks_before(splits=splits.assign(fold=folds)) == 4, "others are held out together"
    assert {(look.step, look.task) for look in Ledger(tmp_path).looks()} == {("probe", "sim.eyes")}


def test_other_signals_and_another_precision_are_looks(
    checkpoint: Checkpoint, store: SignalStore, windows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def noted(*args: Any) -> int:
        given.extend(args)
        return look(*args)

    monkeypatch.setattr(job, "look", noted)
    small = {"tasks": ["eyes"], "n_untrained": 1, "lambdas": (1.0,), "n_bootstrap": 100, "transductive": False}
    params = ProbeParams.model_validate({**small, "accelerator": "cpu"})
    job.probe(checkpoint, {"sim": store}, {"sim": windows}, _splits(), params, tmp_path)
    trials = given[2]
    assert look(tmp_path, checkpoint, trials, store, params) == 0, "the same again"
    rounded = params.model_copy(update={"precision": "bf16-mixed"})
    assert look(tmp_path, checkpoint, trials, store, rounded) == 1
    monkeypatch.setattr(SignalStore, "signals_sha256", lambda *_: "other samples of the same windows")
    assert look(tmp_path, checkpoint, trials, store, params) == 2
