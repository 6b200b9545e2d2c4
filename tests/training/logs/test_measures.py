"""Measures of the features of a validation."""

import json
import logging
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torch import Tensor

from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import Pairs, SignalSpec, StoredBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.inference.backbone import new_backbone
from eegfm.mixture.labels import LabelFacts
from eegfm.nn.context import Context, Stage
from eegfm.objectives.base import Objective
from eegfm.objectives.config import (
    AuxiliaryObjectiveConfig,
    ContrastiveConfig,
    IscConfig,
    MaskedConfig,
    ObjectiveConfig,
)
from eegfm.recording import Montage
from eegfm.training.logs import measures as module
from eegfm.training.logs.history import History
from eegfm.training.logs.measures import FeatureBatch, FeatureMeasures, measures

WEIGHTS = {"hbn": 0.75, "tuh": 0.25}
NOBODY = torch.zeros(0, dtype=torch.int64)
PROJECTION: dict[str, Any] = {"projection": {"hidden": 16, "out": 8}}
CONTEXT = Context(corpora=("hbn", "tuh"), stage=Stage.VALIDATION)


def kept(features: Tensor, persons: Tensor | None = None, pairing: str = "", compared: Tensor | None = None) -> Any:
    """A micro-batch; its persons are unknown unless they are given, and are of no interest in pairs."""
    persons = torch.full((0 if pairing else len(features),), -1) if persons is None else persons
    compared = features if compared is None and pairing else compared
    return FeatureBatch(0, "hbn", pairing, features, persons, features[:0] if compared is None else compared)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_measures_are_of_all_windows_of_the_validation() -> None:
    features, persons = noise(30, 12) * torch.linspace(1, 9, 12), torch.arange(30) % 4
    features += 3 * noise(4, 12, seed=1)[persons]
    found = measures([kept(features[:11], persons[:11]), kept(features[11:], persons[11:])])
    values = features.double().numpy()
    shares = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    shares /= shares.sum()
    assert found["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert found["pooled_sd"] == pytest.approx(values.std(axis=0).mean())
    own = [values[persons.numpy() == p] for p in range(4)]
    within = sum(((rows - rows.mean(axis=0)) ** 2).sum() for rows in own) / 26
    between = sum(len(rows) * ((rows.mean(axis=0) - values.mean(axis=0)) ** 2).sum() for rows in own) / 3
    component = (between - within) / ((30 - sum(len(rows) ** 2 for rows in own) / 30) / 3)
    assert found["person_share"] == pytest.approx(component / (component + within))
    assert set(found) == {"effective_rank", "pooled_sd", "person_share"}


def test_persons_without_a_difference_have_no_share() -> None:
    shares = [measures([kept(noise(60, 8, seed=k), torch.arange(60) % 15)])["person_share"] for k in range(20)]
    assert abs(np.mean(shares)) < 0.03


def test_pairs_are_measured_pair_by_pair_whatever_batch_they_are_in() -> None:
    first, second = noise(9, 5), noise(9, 5) + noise(9, 5, seed=2)
    parts = [torch.cat([first[k], second[k]]) for k in (slice(0, 4), slice(4, 9))]
    shown = [10 * part for part in parts]
    found = measures([kept(whole, pairing="movie_moment", compared=s) for whole, s in zip(parts, shown, strict=True)])
    unit = [(v / v.norm(dim=1, keepdim=True)).double().numpy() for v in (first, second)]
    assert found["alignment_movie_moment"] == pytest.approx(((unit[0] - unit[1]) ** 2).sum(axis=1).mean(), rel=1e-5)
    every = np.concatenate(unit)
    potentials = [np.exp(-2 * ((a - b) ** 2).sum()) for i, a in enumerate(every) for j, b in enumerate(every) if i != j]
    assert found["uniformity_movie_moment"] == pytest.approx(np.log(np.mean(potentials)), rel=1e-5)
    expected = np.mean([pearsonr(first[:, d], second[:, d]).statistic for d in range(5)])
    assert found["movie_correlation"] == pytest.approx(expected, rel=1e-5)


def test_pairings_and_single_windows_are_measured_apart() -> None:
    movies, near, alone = noise(8, 5), noise(12, 5, seed=1) + 2, noise(20, 5, seed=2)
    persons, none = torch.arange(20) % 4, near[:0]
    parts = [
        kept(alone, persons),
        kept(movies, pairing="movie_moment"),
        kept(none, pairing="within_recording", compared=near),
    ]
    found = measures(parts)
    assert found == {name: value for part in parts for name, value in measures([part]).items()}
    assert set(found) == {
        *("effective_rank", "pooled_sd", "person_share", "movie_correlation"),
        *(
            f"{name}_{pairing}"
            for name in ("alignment", "uniformity")
            for pairing in ("movie_moment", "within_recording")
        ),
    }


def test_what_a_corpus_lacks_is_not_measured() -> None:
    assert "movie_correlation" not in measures([kept(noise(8, 4), pairing="condition")])
    assert "person_share" not in measures([kept(noise(8, 4), torch.zeros(8, dtype=torch.int64))])
    assert "person_share" not in measures([kept(noise(8, 4), torch.arange(8))]), "one window each"
    assert measures([kept(noise(1, 4))]) == {}
    broken = noise(8, 4)
    broken[3, 1] = torch.nan
    assert measures([kept(broken)]) == {}


def test_of_very_many_windows_some_are_measured_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WINDOWS", 5)
    features = noise(9, 4)
    assert measures([kept(features)]) == measures([kept(features[::2])])


@pytest.fixture
def batch(small: Montage) -> StoredBatch:
    half = torch.arange(6)
    return {
        "samples": (noise(12, 200, 3) * 1000).to(torch.int16),
        "scales_uv": torch.full((12, 3), 0.02),
        "recording": torch.arange(12),
        "person": torch.arange(12) % 4,
        "corpus": "hbn",
        "montage": small.name,
        "pairs": Pairs(half.repeat(2), torch.zeros(12, dtype=torch.int64), 0, pairing="movie_moment"),
    }


def built(config: ObjectiveConfig, small: Montage) -> Objective:
    spec = SignalSpec(100.0, {small.name: small}, {small.name: 200})
    encoder = PatchTransformerConfig(d_model=16, head_size=8, n_layers=1)
    backbone = new_backbone(encoder, NoAdapterConfig(), spec, 0, reference="average", bad_channels="mask")
    torch.manual_seed(0)
    objective: Objective = config.build(backbone, labels={"age": LabelFacts("regression", mean=30.0, sd=10.0)})
    return objective.eval()


def added(objective: Objective, batch: StoredBatch) -> tuple[FeatureBatch, int]:
    """What is kept of a batch, and how often the backbone was asked for it."""
    calls: list[StoredBatch] = []
    hook = objective.backbone.register_forward_hook(lambda _module, inputs, _output: calls.append(inputs[0]))
    found = FeatureMeasures(WEIGHTS)
    output = objective({**batch, "targets": {"age": torch.full((len(batch["samples"]),), 20.0)}}, CONTEXT)
    calls.clear()
    found.add(0, batch, output, objective)
    hook.remove()
    return found._batches[0], len(calls)


@pytest.mark.parametrize(
    ("config", "n_calls"),
    [
        (IscConfig(**PROJECTION), 0),
        (ContrastiveConfig(**PROJECTION), 1),
        (ContrastiveConfig(augment=(), **PROJECTION), 0),
        (ContrastiveConfig(augment=(), complementary_ratio=0.5, **PROJECTION), 1),
        (ContrastiveConfig(augment=(), complementary_ratio=0.5, auxiliary={"heads": ["age"]}, **PROJECTION), 1),
    ],
    ids=str,
)
def test_features_are_those_of_untouched_windows(
    small: Montage, batch: StoredBatch, config: ObjectiveConfig, n_calls: int
) -> None:
    objective = built(config, small)
    with torch.no_grad():
        expected = objective.backbone(batch).features.pooled
        found, n_found = added(objective, batch)
        shown = objective.compute(batch, CONTEXT).features
    torch.testing.assert_close(found.features, expected)
    assert n_found == n_calls
    assert not found.features.requires_grad
    if shown is not None:
        torch.testing.assert_close(found.compared, shown.features.pooled)
    if shown is not None and n_calls:
        assert not torch.allclose(found.compared, expected, rtol=1e-3), "the objective was shown others"


@pytest.mark.parametrize(("config", "n_calls"), [(MaskedConfig(), 1), (AuxiliaryObjectiveConfig(), 0)], ids=str)
def test_windows_one_by_one_are_encoded_once_more_where_they_were_changed(
    small: Montage, batch: StoredBatch, config: ObjectiveConfig, n_calls: int
) -> None:
    single: Any = {name: value for name, value in batch.items() if name != "pairs"}
    objective = built(config.model_copy(update={"auxiliary": None}), small)
    found, n_found = added(objective, single)
    with torch.no_grad():
        torch.testing.assert_close(found.features, objective.backbone(single).features.pooled)
    assert n_found == n_calls
    assert found.persons.equal(batch["person"])
    assert len(found.compared) == 0
    alone = FeatureMeasures(WEIGHTS)
    alone.add(3, single, None, objective)
    torch.testing.assert_close(alone._batches[0].features, found.features)


def test_pairs_of_other_kinds_are_not_encoded_once_more(small: Montage, batch: StoredBatch) -> None:
    objective = built(ContrastiveConfig(**PROJECTION), small)
    twice: Any = {
        name: torch.cat([v[:6], v[:6]]) if isinstance(v, Tensor) else v for name, v in batch.items() if name != "pairs"
    }
    twice["pairs"] = batch["pairs"]._replace(pairing="views")
    found, n_calls = added(objective, twice)
    assert (len(found.features), len(found.persons), len(found.compared), n_calls) == (0, 0, 12, 0)
    assert measures([found])["alignment_views"] > 0, "views differ, the windows do not"


def taken(batches: list[FeatureBatch], **how: Any) -> dict[str, float]:
    found = FeatureMeasures(WEIGHTS)
    found._batches = batches
    return found.take(10, History(), **how)


def test_names_and_means_over_the_corpora_that_have_a_measure() -> None:
    hbn, tuh = kept(noise(20, 6), torch.arange(20) % 5), kept(noise(20, 6, seed=1))._replace(corpus="tuh")
    found = taken([hbn, tuh])
    assert found["val/effective_rank/hbn"] == measures([hbn])["effective_rank"]
    ranks = [found[f"val/effective_rank/{corpus}"] for corpus in ("hbn", "tuh")]
    assert found["val/effective_rank"] == pytest.approx(0.75 * ranks[0] + 0.25 * ranks[1])
    assert found["val/person_share"] == pytest.approx(found["val/person_share/hbn"])
    assert "val/person_share/tuh" not in found


def test_processes_together_measure_what_one_does() -> None:
    one = [
        kept(noise(6, 5, seed=k), torch.arange(6) % 3 if k < 2 else None, "" if k < 2 else "movie_moment")._replace(
            step=k // 2, corpus=corpus
        )
        for k, corpus in enumerate(("hbn", "tuh") * 3)
    ]
    asked: list[Any] = []

    def gather(own: list[Any]) -> list[Any]:
        asked.append(json.loads(json.dumps(own)))
        return asked

    taken(one[0::2][::-1], gather=gather)
    assert taken(one[1::2], gather=gather) == taken(one)
    assert len(asked) == 2


def test_a_collapse_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    history, found = History(), FeatureMeasures(WEIGHTS)
    lively, flat, shrunk = noise(40, 16), noise(40, 1) * torch.ones(16), noise(40, 16) * 9e-4
    with caplog.at_level(logging.WARNING):
        for step, features in ((10, lively), (20, flat), (30, flat), (40, shrunk)):
            found._batches = [kept(features), kept(lively if step < 40 else shrunk)._replace(corpus="tuh")]
            values = found.take(step, history)
            history.record(step, {name.replace("/", "_"): value for name, value in values.items()})
    first = history.first("val_pooled_sd_tuh")
    assert [record.getMessage() for record in caplog.records] == [
        "Step 20: the features of hbn collapse: their effective rank is 1 of at most 16, below 2",
        "Step 40: the features of tuh collapse: their standard deviation is "
        f"{values['val/pooled_sd/tuh']:.3g}, and was {first:.3g} in the first validation",
    ]
    caplog.clear()
    taken([kept(flat)], warns=False)
    taken([kept(flat[:10])])
    assert not caplog.records, "another process warns; few windows tell nothing"
