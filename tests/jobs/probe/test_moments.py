"""Retrieval of movie moments as a task of a probe: persons who see one movie, and what it does to all of them."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eegfm.checkpoint import Checkpoint
from eegfm.errors import SplitError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.features import zscore_per_person
from eegfm.evaluation.retrieval import moment_hits
from eegfm.jobs.probe import probe as job
from eegfm.jobs.report.probe_rows import probe_rows
from eegfm.plots.comparison import comparison_figure
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from empty_ledgers import empty_ledger
from jobs.probe.test_probe import MONTAGE, PERSONS
from pair_tables import table
from person_tables import channels, split_table

N_MOMENTS, N_SAMPLES, CANDIDATES = 24, 200, 12
SPLITS = split_table(dict.fromkeys(PERSONS, "test"), ("movie",))
TASK = {"name": "movie_moments", "kind": "retrieval", "cut": "movies", "candidates": CANDIDATES}


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory) -> SignalStore:
    """Noise whose strength at each electrode follows the movie; each person begins at a sample of their own."""
    folder, rng = tmp_path_factory.mktemp("movies"), np.random.default_rng(0)
    course = np.repeat(np.exp(0.7 * rng.normal(size=(N_MOMENTS, 4))), N_SAMPLES, axis=0)
    with StoreWriter(folder, StoreFacts(rate_hz=100.0, is_simulated=True)) as writer:
        for k, person in enumerate(PERSONS):
            signal_uv = rng.normal(0, 10, (len(course) + 100, 4))
            signal_uv[7 * k : 7 * k + len(course)] *= course
            writer.commit(
                recording_id=f"{person}:movie", key="", montage=MONTAGE, events=[],
                facts={"signal_hashes": channels(f"{person}:movie")},
                samples=np.round(signal_uv * 100).astype(np.int16), scales_uv=np.full(4, 0.01, dtype=np.float32),
            )  # fmt: skip
    return SignalStore(folder)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    rows = [{"recording_id": f"{p}:movie", "person": p, "start": 7 * k} for k, p in enumerate(PERSONS)]
    shared = {"corpus": "sim", "montage": MONTAGE.name, "label": "A", "n_windows": N_MOMENTS, "moment": 0}
    return table({**row, **shared} for row in rows)


def params(**changes: Any) -> ProbeParams:
    return ProbeParams.model_validate(
        {"tasks": [{**TASK, **changes}], "n_untrained": 2, "n_bootstrap": 200, "accelerator": "cpu"}
    )


@pytest.fixture(scope="module")
def result(checkpoint: Checkpoint, movies: SignalStore, runs: pd.DataFrame) -> job.ProbeResult:
    return job.probe(checkpoint, {"sim": movies}, {"sim": runs}, SPLITS, params(), empty_ledger())


def test_moments_of_a_movie_are_found_in_persons_who_were_never_seen(result: job.ProbeResult) -> None:
    metrics = result.metrics["sim.movie_moments"]
    for kind, n_inits in (("pretrained", 1), ("untrained", 2), ("band_power", 1)):
        for block in (metrics[kind], metrics[kind]["transductive"]):
            top1 = block["top1"]
            assert len(top1["inits"]) == n_inits
            assert top1["interval_95"][0] <= top1["pooled"] <= top1["interval_95"][1]
            assert list(top1["per_person"]) == PERSONS
    assert metrics["band_power"]["top1"]["pooled"] > 0.5
    assert metrics["band_power"]["top1"]["interval_95"][0] > 3 / CANDIDATES
    assert metrics["paired_difference"]["band_power"]["of"] == "top1"
    protocol = metrics["protocol"]
    assert (protocol["answer"], protocol["n_candidates"], protocol["n_windows_asked"]) == ("moment", CANDIDATES, 144)
    assert not {"lambdas", "method", "inner_folds"} & set(protocol)
    assert protocol["n_looks_before"] == 0
    assert json.loads(json.dumps(result.metrics, allow_nan=False)) == result.metrics


def test_metrics_follow_from_the_predictions(result: job.ProbeResult) -> None:
    for (kind, transductive), rows in result.predictions.groupby(["features", "transductive"]):
        block = result.metrics["sim.movie_moments"][kind]
        block = block["transductive"] if transductive else block
        assert block["top1"]["inits"] == pytest.approx(rows.groupby("init")["score"].mean().tolist())
        of_person = rows.groupby("person")["score"].mean()
        assert block["top1"]["per_person"] == pytest.approx(of_person.to_dict())
    assert (result.predictions["label"] == "A").all()


def test_shuffled_moments_are_found_by_chance(
    checkpoint: Checkpoint, movies: SignalStore, runs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same windows, whose numbers of moments say nothing."""
    order = {person: np.random.default_rng(k).permutation(N_MOMENTS) for k, person in enumerate(PERSONS)}
    singles = runs.loc[runs.index.repeat(N_MOMENTS)].reset_index(drop=True)
    nth = singles.groupby("recording_id").cumcount().to_numpy()
    moment = [int(order[p][n]) for p, n in zip(singles["person"], nth, strict=True)]
    shuffled = singles.assign(start=singles["start"] + nth * N_SAMPLES, n_windows=1, moment=moment)
    found = job.probe(checkpoint, {"sim": movies}, {"sim": shuffled}, SPLITS, params(), empty_ledger())
    for kind in ("pretrained", "untrained", "band_power"):
        block = found.metrics["sim.movie_moments"][kind]
        for top1 in (block["top1"], block["transductive"]["top1"]):
            assert top1["pooled"] == pytest.approx(1 / CANDIDATES, abs=3.5 * np.sqrt(1 / CANDIDATES / 144))


def test_persons_without_enough_shared_moments_are_left_out(
    checkpoint: Checkpoint, movies: SignalStore, runs: pd.DataFrame
) -> None:
    """What is left is what a probe of the others alone gives; two persons who leave may take a third along."""
    few = runs.assign(n_windows=[N_MOMENTS] * 4 + [CANDIDATES - 1, 3])
    found = job.probe(checkpoint, {"sim": movies}, {"sim": few}, SPLITS, params(), empty_ledger())
    assert list(found.metrics["sim.movie_moments"]["pretrained"]["top1"]["per_person"]) == PERSONS[:4]
    alone = job.probe(checkpoint, {"sim": movies}, {"sim": runs[:4]}, SPLITS, params(), empty_ledger())
    pd.testing.assert_frame_equal(found.predictions, alone.predictions)
    assert found.metrics["sim.movie_moments"]["protocol"]["n_windows_asked"] == 96


@pytest.mark.parametrize(
    ("changes", "columns", "message"),
    [
        (
            {"candidates": 25},
            {},
            r"task sim\.movie_moments: 144 windows of 6 test persons, .* share 25 moments .*lower",
        ),
        ({}, {"moment": -1}, "windows of cut 'movies' show no moments of movies; give the task a cut such as"),
        ({}, {"label": None}, "windows of cut 'movies' show no moments of movies"),
        ({}, {"stride": 100, "n_windows": 12}, "share 12 moments of a movie that do not overlap"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    checkpoint: Checkpoint,
    movies: SignalStore,
    runs: pd.DataFrame,
    changes: dict[str, Any],
    columns: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(SplitError, match=message):
        job.checked_trials(
            checkpoint.header, {"sim": movies}, {"sim": runs.assign(**columns)}, SPLITS, params(**changes)
        )


def test_the_report_and_the_figure_show_it(result: job.ProbeResult) -> None:
    metrics = result.metrics["sim.movie_moments"]
    rows = probe_rows(metrics).set_index("features")
    assert rows.loc["band_power", "top-1"] == f"{metrics['band_power']['top1']['pooled']:.3f}"
    figure = comparison_figure(result.metrics)
    assert figure.layout.shapes[0].y0 == pytest.approx(1 / CANDIDATES)
    assert [trace.name for trace in figure.data[1:]] == PERSONS
    assert "among 12 moments" in figure.layout.annotations[0].text


def test_hits_are_of_the_features_that_the_probe_computes(
    result: job.ProbeResult, checkpoint: Checkpoint, movies: SignalStore, runs: pd.DataFrame
) -> None:
    from eegfm.jobs.probe.features import all_features

    (trials,) = job.checked_trials(checkpoint.header, {"sim": movies}, {"sim": runs}, SPLITS, params())
    features = all_features(checkpoint, movies, trials, params())["pretrained"][0]
    centred = zscore_per_person(features, trials.persons)
    answers: Any = trials.answers
    rows = result.predictions[result.predictions["features"] == "pretrained"]
    for transductive, values in ((False, features), (True, centred)):
        expected = moment_hits(values, answers.moments, CANDIDATES)
        np.testing.assert_allclose(rows[rows["transductive"] == transductive]["score"], expected)
