"""Scores by group equal scikit-learn's on the windows of the group; small groups have counts and no score."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score

from eegfm.evaluation.groups import scores_by_group
from eegfm.evaluation.scores.predictions import ScoredPredictions
from eegfm.evaluation.scores.scored import ScoredRuns
from eegfm.targets import TargetSpec

AGES = np.array([5.9, 6.0, 9.99, 10.0, 30.0, 80.0, np.nan, -1.0, 7.0, 8.0, 9.0, 6.5])
N_PERSONS, N_WINDOWS = len(AGES), 12


def predictions(target: TargetSpec, seed: int) -> ScoredPredictions:
    """12 persons of one recording each, and 12 windows each, the last of which has no answer."""
    rng, n = np.random.default_rng(seed), N_PERSONS * N_WINDOWS
    persons, own = np.repeat(np.arange(N_PERSONS), N_WINDOWS), np.tile(np.arange(N_WINDOWS), N_PERSONS)
    if target.kind == "regression":
        truths = np.random.default_rng(9).normal(size=(n, 1)).astype(np.float32)
        truths[own == N_WINDOWS - 1] = np.nan
        said = np.nan_to_num(truths) + rng.normal(size=(n, 1))
    else:
        truths = np.random.default_rng(9).integers(0, 2, n)
        yes = np.clip(0.3 * truths + 0.7 * rng.random(n), 0, 1)
        said, truths = np.stack([1 - yes, yes], axis=1), np.where(own == N_WINDOWS - 1, -1, truths)
    names = np.array([f"p{k:02}" for k in persons])
    recordings = np.array([f"r{k:02}" for k in persons])
    mixed = rng.permutation(n)  # the order of windows does not matter
    return ScoredPredictions(target, said, truths, names, recordings, own * 100).at(mixed)


def recordings(**columns: object) -> pd.DataFrame:
    # The table has further recordings, in another order.
    ids = [f"r{k:02}" for k in range(N_PERSONS)]
    table = pd.DataFrame({"recording_id": ids, **columns})
    return pd.concat([table[::-1], table.tail(1).assign(recording_id="other")], ignore_index=True)


EYES = TargetSpec.of_classes(("open", "closed"))
OPTIONS = {"n_bootstrap": 200, "seed": 3}


def test_groups_counts_and_scores() -> None:
    runs = [predictions(EYES, seed) for seed in (0, 1)]
    sex = ["F", "M", "F", "", None, "M", "F", "F", "M", "M", "M", " M"]
    table = recordings(age_years=AGES, sex=sex, site=[None] * N_PERSONS)
    found = scores_by_group({"finetuned": runs}, table, "balanced_accuracy", **OPTIONS, fewest_persons=4)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["by"]) == ["age_years", "sex"]
    ages = {group: block["n_persons"] for group, block in found["by"]["age_years"].items()}
    assert ages == {
        "0 to under 6 years": 1, "6 to under 10 years": 6, "10 to under 14 years": 1, "30 to under 45 years": 1,
        "75 years and above": 1, "unknown": 2,
    }  # fmt: skip
    assert list(ages)[-1] == "unknown"
    by_sex = found["by"]["sex"]
    assert {name: (b["n_persons"], b["n_windows"]) for name, b in by_sex.items()} == {
        "F": (4, 44), "M": (6, 66), "unknown": (2, 22),
    }  # fmt: skip
    assert by_sex["unknown"]["models"] == {}
    persons = [f"p{k:02}" for k in (0, 2, 6, 7)]
    scores = []
    for run in runs:
        rows = np.isin(run.persons, persons) & (run.truths >= 0)
        scores.append(balanced_accuracy_score(run.truths[rows], run.probabilities[rows].argmax(axis=1)))
    own = by_sex["F"]["models"]["finetuned"]["balanced_accuracy"]
    assert own["value"] == pytest.approx(np.mean(scores))
    alone = ScoredRuns([run.at(np.isin(run.persons, persons)) for run in runs], **OPTIONS)
    assert own == {k: alone.to_dict()["window"]["balanced_accuracy"][k] for k in ("value", "interval_95")}


def test_numbers_at_the_level_of_persons() -> None:
    target = TargetSpec("regression")
    run = predictions(target, 0)
    table = recordings(release=["R1"] * 11 + ["R2"])
    found = scores_by_group({"a": [run], "b": [run]}, table, "r2", "person", **OPTIONS)
    assert (found["level"], found["fewest_persons"]) == ("person", 10)
    first = found["by"]["release"]["R1"]
    assert first["n_persons"] == 11
    means = pd.DataFrame({"p": run.persons, "y": run.truths[:, 0], "s": run.probabilities[:, 0]}).dropna()
    means = means[means["p"] != "p11"].groupby("p").mean()
    assert first["models"]["b"]["r2"]["value"] == pytest.approx(r2_score(means["y"], means["s"]))
    assert first["models"]["a"]["mae"]["value"] == pytest.approx(mean_absolute_error(means["y"], means["s"]))
    assert found["by"]["release"]["R2"]["models"] == {}


def test_nothing_known_makes_no_groups() -> None:
    table = recordings(age_years=[np.nan] * N_PERSONS, sex=[""] * N_PERSONS)
    found = scores_by_group({"a": [predictions(EYES, 0)]}, table, "auroc", **OPTIONS)
    assert found["by"] == {}
    with pytest.raises(AssertionError, match="every window has its recording"):
        scores_by_group({"a": [predictions(EYES, 0)]}, table[3:], "auroc", **OPTIONS)
