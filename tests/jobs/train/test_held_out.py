"""Answers of auxiliary heads on held-out persons, against loops, and trainings that learn to give them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from eegfm.batch import WindowIndex
from eegfm.jobs.train.held_out import N_WINDOWS_PER_PERSON, held_out_scores, windows_of_persons
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.prepare import prepare
from eegfm.jobs.train.pretrain import fit_pretraining
from eegfm.objectives.config import AuxiliaryObjectiveConfig, MaskedConfig
from eegfm.training.config import PretrainParams
from eegfm.training.loading.gather import gather
from eegfm.training.plans.plan import Draw
from noise_corpora import PARAMS, NoiseStore, make_montage, noise_mixture, noise_splits

N_PERSONS = {"hbn": 12, "tuh": 10}
HEADS = {"heads": [{"name": "age", "hidden": 16}, "sex"]}


def labelled() -> tuple[pd.DataFrame, dict[str, NoiseStore]]:
    """Corpora whose persons' ages follow from the strength of their noise; a third of each validates."""
    stores = {
        "hbn": NoiseStore(make_montage(6), N_PERSONS["hbn"], 0, is_simulated=True),
        "tuh": NoiseStore(make_montage(4), N_PERSONS["tuh"], 1, is_simulated=False),
    }
    mixture = noise_mixture(stores)
    number = mixture["person"].str.extract(r":p(\d+)")[0].astype(int)
    rank = {
        (corpus, r): np.log(store.samples[2000 * r : 2000 * (r + 1)].std())
        for corpus, store in stores.items()
        for r in range(store.n_recordings)
    }
    strength = np.array([rank[key] for key in zip(mixture["corpus"], number, strict=True)])
    # Persons of tuh are far older: a difference between corpora that says nothing of persons.
    age = 10 * strength + 50 * (mixture["corpus"] == "tuh")
    is_unknown = (mixture["corpus"] == "hbn") & (number == 3)
    return (
        mixture.assign(
            split=np.where(number % 3 == 0, "validation", "train"),
            label_age=age.where(~is_unknown),
            label_sex=np.where(strength > np.median(strength), "M", "F"),
        ),
        stores,
    )


def params(**changes: object) -> PretrainParams:
    return PARAMS.model_copy(update={"objective": AuxiliaryObjectiveConfig(auxiliary=HEADS), **changes})


def test_windows_are_spread_over_all_that_a_person_has() -> None:
    runs = WindowIndex("x", "m", 10, 10, np.arange(3), np.arange(3, dtype=np.int32), np.array([4, 4, 7], np.int32),
                       np.cumsum([60, 40, 3]))  # fmt: skip
    single = WindowIndex("x", "n", 10, 10, np.arange(2), np.arange(2, dtype=np.int32), np.array([7, 9], np.int32))
    draws = windows_of_persons([runs, single], 10)
    taken = {(k, int(p)) for k, draw in enumerate(draws) for p in draw.positions}
    assert taken == {(0, 10 * k) for k in range(10)} | {(0, 100), (0, 101), (0, 102), (1, 0), (1, 1)}
    assert windows_of_persons([], 10) == []


def test_scores_are_those_of_a_loop() -> None:
    mixture, stores = labelled()
    run = prepare(TrainingJob(params(), mixture, noise_splits(mixture), stores))
    objective = run.module.objective.eval()
    assert objective.auxiliary is not None
    device = torch.device("cpu")
    scores = held_out_scores(objective, run.data.held_out, stores, device, seed=0)
    said: dict[str, list[tuple[float, float]]] = {}
    hits: dict[str, dict[int, list[bool]]] = {}
    for corpus, groups in run.data.held_out.items():
        [group] = groups
        for person in np.unique(group.persons):
            positions = np.flatnonzero(group.persons[group.runs_of(np.arange(len(group)))[0]] == person)
            assert len(positions) <= N_WINDOWS_PER_PERSON
            batch = gather(Draw(group, positions), stores[corpus])
            with torch.no_grad():
                answers = objective.auxiliary.predict(objective.backbone(batch).features.pooled)
            sex = int(batch["targets"]["sex"][0])
            hits.setdefault(corpus, {}).setdefault(sex, []).append(int(answers["sex"].mean(dim=0).argmax()) == sex)
            truth = float(batch["targets"]["age"][0])
            if math.isnan(truth):
                continue
            said.setdefault(corpus, []).append((truth, float(answers["age"].mean())))
    assert {corpus: len(pairs) for corpus, pairs in said.items()} == {"hbn": 3, "tuh": 4}
    for corpus, by_class in hits.items():
        recalls = [float(np.mean(of_class)) for of_class in by_class.values()]
        assert scores[f"held_out_sex_balanced_accuracy_{corpus}"] == pytest.approx(np.mean(recalls))
    centred = []
    for corpus, pairs in said.items():
        truth, predicted = np.array(pairs).T
        assert scores[f"held_out_age_n_persons_{corpus}"] == len(pairs)
        assert scores[f"held_out_age_mae_{corpus}"] == pytest.approx(np.abs(truth - predicted).mean(), rel=1e-5)
        assert scores[f"held_out_age_r_{corpus}"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1], abs=1e-4)
        centred.append(np.array([truth - truth.mean(), predicted - predicted.mean()]))
    within = np.corrcoef(np.concatenate(centred, axis=1))[0, 1]
    assert scores["held_out_age_r"] == pytest.approx(within, abs=1e-4)
    assert scores["held_out_age_r_low"] <= scores["held_out_age_r"] <= scores["held_out_age_r_high"]
    assert scores["held_out_sex_n_persons"] == 8
    assert "held_out_sex_balanced_accuracy" not in scores, "it would be one of telling corpora apart"
    assert not any(math.isnan(value) for value in scores.values())


def test_labels_that_nobody_held_out_has_have_no_scores() -> None:
    mixture, stores = labelled()
    is_held_out = mixture["split"] == "validation"
    mixture = mixture.assign(
        label_age=mixture["label_age"].mask(is_held_out), label_sex=mixture["label_sex"].mask(is_held_out)
    )
    run = prepare(TrainingJob(params(), mixture, noise_splits(mixture), stores))
    scores = held_out_scores(run.module.objective.eval(), run.data.held_out, stores, torch.device("cpu"), seed=0)
    assert scores == {"held_out_age_n_persons": 0, "held_out_sex_n_persons": 0}
    no_heads = prepare(TrainingJob(params(objective=MaskedConfig()), mixture, noise_splits(mixture), stores))
    assert no_heads.data.labels == {}
    assert held_out_scores(no_heads.module.objective, run.data.held_out, stores, torch.device("cpu"), seed=0) == {}


def test_a_training_learns_the_labels_of_persons_that_it_has_not_seen(tmp_path: Path) -> None:
    mixture, stores = labelled()
    done = fit_pretraining(mixture, stores, params(n_steps=40), tmp_path, splits=noise_splits(mixture))
    assert done.metrics["held_out_age_r"] > 0.8
    assert done.metrics["held_out_age_n_persons"] == 7
    assert done.metrics["val_age_mae_tuh"] > 0
    assert done.checkpoint.header.labels == {"age": (), "sex": ("F", "M")}
    own = {name for name in done.checkpoint.tensors if name.startswith("objective.")}
    assert {"objective.auxiliary.heads.0.mean", "objective.auxiliary.heads.0.sd"} < own
