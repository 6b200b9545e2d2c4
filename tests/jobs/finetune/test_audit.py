"""Audits of a finetuning: the person in features, the order of classes, and what z-scores per person gain."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.jobs.finetune import audit as job
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.said import TestWindows as AskedWindows
from eegfm.targets import TargetSpec

EYES = TargetSpec.of_classes(("closed", "open"))
N_PERSONS, N_EACH = 5, 12


def _windows(**columns: Any) -> pd.DataFrame:
    person = np.repeat(np.arange(N_PERSONS), N_EACH)
    table = {"corpus": "c", "person": "c:p", "identity": [f"p{k}" for k in person], "n_samples": 100}
    place = np.tile(np.arange(N_EACH), N_PERSONS)
    return pd.DataFrame(table | {"recording_id": [f"p{k}:r" for k in person], "start": 100 * place, **columns})


def _test(truths: Any = None) -> AskedWindows:
    return AskedWindows(_windows(), np.tile([0, 1], N_PERSONS * N_EACH // 2) if truths is None else truths)


def test_a_feature_that_is_the_person_tells_persons_apart() -> None:
    rng = np.random.default_rng(0)
    persons = np.repeat(rng.normal(size=N_PERSONS), N_EACH)[:, None]
    own = job.audit_of(persons + 1e-3 * rng.normal(size=(60, 1)), _test(), EYES)
    noise = job.audit_of(rng.normal(size=(60, 4)), _test(), EYES)
    assert own["between_persons"] == pytest.approx(1, abs=1e-3)
    assert own["accuracy"] == 1
    assert own["of_answer"] == pytest.approx(0, abs=1e-3)
    assert noise["between_persons"] < 0.3
    assert noise["accuracy"] < 0.6
    answer = job.audit_of(_test().truths[:, None] + 1e-3 * rng.normal(size=(60, 1)), _test(), EYES)
    assert answer["of_answer"] == pytest.approx(1, abs=1e-3)


def test_answers_that_are_unknown_or_several_are_not_looked_at() -> None:
    features = np.random.default_rng(0).normal(size=(60, 2))
    truths = np.zeros((60, 1), dtype=np.float32)
    truths[3] = np.nan
    assert job.audit_of(features, _test(truths), TargetSpec("regression"))["of_answer"] is None
    several = TargetSpec("multilabel", ("no", "yes"), ("a", "b"))
    assert job.audit_of(features, _test(np.zeros((60, 2))), several)["of_answer"] is None
    numbers = features[:, :1].astype(np.float32)
    found = job.audit_of(features, _test(numbers), TargetSpec("regression"))["of_answer"]
    r = np.corrcoef(features.T)[0, 1]
    assert found == pytest.approx((1 + r**2) / 2, rel=1e-5)


def test_means_are_of_what_is_known() -> None:
    found = job.mean_audits({"a": [{"x": 1.0, "y": None}, {"x": 2.0, "y": 4.0}], "b": [{"x": None, "y": float("nan")}]})
    assert found == {"a": {"x": 1.5, "y": 4.0}, "b": {"x": None, "y": None}}


def _said(model: str, truths: Any, said: Any) -> Said:
    found = Said(EYES, {"split": AskedWindows(_windows(), truths)})
    found.add(model, 0, "split", np.stack([1 - said, said], axis=1))
    return found


def test_the_gap_is_what_z_scores_gain() -> None:
    truths = np.tile([0, 1], 30)
    said, zscored = _said("band_power", truths, np.full(60, 0.9)), _said("band_power", truths, truths * 0.8 + 0.1)
    assert job.transductive_gaps(said, zscored) == {"band_power": pytest.approx(0.5)}


def test_classes_one_after_the_other_follow_the_order() -> None:
    in_turn, halves = np.tile([0, 1], 30), np.tile(np.repeat([1, 0], N_EACH // 2), N_PERSONS)
    assert job.order_of_label(_said("m", in_turn, np.full(60, 0.5)))["label_follows_order"] is False
    found = job.order_of_label(_said("m", halves, np.full(60, 0.5)))
    assert found["label_follows_order"] is True
    assert (found["label_order"]["first"], found["label_order"]["then"]) == ("open", "closed")
    numbers = Said(TargetSpec("regression"), {"split": AskedWindows(_windows(), np.zeros((60, 1)))})
    assert job.order_of_label(numbers) == {}
