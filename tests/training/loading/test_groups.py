"""From tables to groups of windows."""

import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from eegfm.errors import ConfigError, StoreError
from eegfm.mixture.config import MixtureParams
from eegfm.mixture.shares import rounded_weights
from eegfm.mixture.table import mix_windows
from eegfm.recording import Montage
from eegfm.training.loading.gather import gather
from eegfm.training.loading.groups import Mixing, corpus_weights, signal_spec, window_groups
from eegfm.training.plans.mixture_plan import MixturePlan
from eegfm.training.plans.plan import Draw
from eegfm.windows.runs import expand

COLUMNS = ["recording_id", "corpus", "montage", "person", "start", "n_samples", "stride", "n_windows", "split"]


@pytest.fixture
def mixture(small: Montage, large: Montage) -> pd.DataFrame:
    rows = [
        ("r0", "hbn", large.name, "hbn:b", 0, 20, 20, 4, "train"),
        ("r3", "hbn", small.name, "hbn:a", 40, 20, 20, 1, "train"),
        ("r1", "hbn", large.name, "hbn:a", 30, 20, 20, 3, "train"),
        ("r2", "hbn", large.name, "hbn:c", 0, 20, 20, 4, "validation"),
        ("r2", "tuh", small.name, "tuh:x", 10, 50, 50, 1, "train"),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(weight=table["corpus"].map({"hbn": 0.7, "tuh": 0.3}))


def test_groups_are_of_one_montage_and_length_and_ordered_by_person(mixture, stores, small, large) -> None:
    groups = window_groups(mixture, stores, "train")
    assert list(groups) == ["hbn", "tuh"]
    found = {}
    for group in (g for c in groups.values() for g in c):
        rows, recordings = group.locate(np.arange(len(group)))
        run, _ = group.runs_of(np.arange(len(group)))
        found[group.corpus, group.montage, group.n_samples] = (
            rows.tolist(),
            recordings.tolist(),
            group.persons[run].tolist(),
        )
    assert found == {
        ("hbn", large.name, 20): ([120, 140, 160, 0, 20, 40, 60], [1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]),
        ("hbn", small.name, 20): ([310], [3], [0]),
        ("tuh", small.name, 50): ([190], [2], [0]),
    }
    assert list(window_groups(mixture, stores, "validation")) == ["hbn"]


def test_persons_are_told_apart_by_identity(mixture, stores, large) -> None:
    mixture["identity"] = ["z", "z", "z", "c", "x"]
    group = next(g for g in window_groups(mixture, stores, "train")["hbn"] if g.montage == large.name)
    assert group.persons.tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["grid", "singles", "short runs", "several strides"])
def test_every_window_of_every_run_is_found_in_its_place(kind: str, stores, small) -> None:
    rng = np.random.default_rng(0)
    n = 60
    n_windows = {"singles": np.ones(n, int), "short runs": 1 + (np.arange(n) % 5 == 0)}.get(kind, rng.integers(1, 5, n))
    stride = np.where(np.arange(n) % 2, 5, 7) if kind == "several strides" else np.full(n, 6)
    runs = pd.DataFrame(
        {"recording_id": [f"r{k}" for k in rng.integers(0, 3, n)], "person": [f"p{k}" for k in rng.integers(0, 9, n)]}
    )
    runs = runs.assign(corpus="tuh", montage=small.name, start=rng.integers(0, 40, n), n_samples=20, stride=stride)
    runs = runs.assign(n_windows=n_windows, split="train", moment=-1)
    [group] = window_groups(runs, stores, "train")["tuh"]
    single = expand(runs)  # one row per window, by other code
    expected = single["recording_id"].str[1:].astype(int) * 90 + single["start"]
    rows, recordings = group.locate(np.arange(len(group)))
    persons = group.persons[group.runs_of(np.arange(len(group)))[0]]
    names = single["person"].str[1:].astype(int)
    assert sorted(zip(rows.tolist(), recordings.tolist(), persons.tolist(), strict=True)) == sorted(
        zip(expected, expected // 90, names, strict=True)
    )
    assert (group.ends is not None) == (kind == "grid")
    assert (np.diff(group.persons) >= 0).all()


@pytest.mark.parametrize("kind", ["grid", "singles", "several strides"])
def test_targets_are_those_of_each_window_by_recording_and_start(kind: str, stores, small) -> None:
    """Classes have one number in all splits, and runs that stay runs keep one number per run."""
    rng = np.random.default_rng(1)
    n = 48
    n_windows = np.ones(n, int) if kind == "singles" else rng.integers(2, 5, n)
    stride = np.where(np.arange(n) % 2, 5, 7) if kind == "several strides" else np.full(n, 6)
    labels = rng.choice(["a", "b", None], n)
    runs = pd.DataFrame({"recording_id": [f"r{k % 3}" for k in range(n)], "start": rng.permutation(n), "label": labels})
    runs = runs.assign(corpus="tuh", montage=small.name, n_samples=20, stride=stride, n_windows=n_windows, moment=-1)
    runs = runs.assign(person=rng.choice([f"p{k}" for k in range(9)], n), target=np.where(labels == "a", np.nan, 1.5))
    runs = runs.assign(targets=[None if k % 5 == 0 else np.float32([k, -k]) for k in range(n)], split="train")
    held_out = runs.iloc[:1].assign(label="0 first of all", split="validation")
    table = pd.concat([runs, held_out], ignore_index=True)
    [group] = window_groups(table, stores, "train")["tuh"]
    n_columns = len(group.first_rows)
    assert n_columns == (n if kind != "several strides" else n_windows.sum())
    assert {name: (v.dtype, len(v)) for name, v in group.targets.items()} == {
        "label": (np.int32, n_columns), "target": (np.float32, n_columns), "targets": (np.float32, n_columns)
    }  # fmt: skip
    assert group.n_bytes >= n_columns * (16 + 16)
    code = {"a": 1, "b": 2}  # 0 is the class of the other split
    known = {}
    for row in expand(runs).itertuples():
        outputs = [np.nan, np.nan] if row.targets is None else row.targets
        known.setdefault((row.recording_id, row.start), []).append((code.get(row.label, -1), row.target, *outputs))
    asked = rng.permutation(len(group))
    batch = gather(Draw(group, asked), stores["tuh"])
    found = {}
    for k, samples in enumerate(batch["samples"][:, 0, 0].tolist()):
        values = (batch["targets"]["label"][k], batch["targets"]["target"][k], *batch["targets"]["targets"][k])
        found.setdefault((f"r{samples // 100}", samples % 100), []).append(tuple(map(float, values)))
    assert batch["targets"]["label"].dtype == torch.int64
    assert batch["targets"]["target"].dtype == batch["targets"]["targets"].dtype == torch.float32
    assert {name: sorted(map(str, values)) for name, values in found.items()} == {
        name: sorted(str(tuple(map(float, each))) for each in values) for name, values in known.items()
    }
    [other] = window_groups(table, stores, "validation")["tuh"]
    assert gather(Draw(other, np.array([0])), stores["tuh"])["targets"]["label"].tolist() == [0]


def test_a_mixture_without_targets_gives_batches_without(mixture, stores) -> None:
    mixture = mixture.assign(label=None, target=np.nan, targets=None)
    for group in window_groups(mixture, stores, "train")["hbn"]:
        assert not group.targets
        assert "targets" not in gather(Draw(group, np.array([0])), stores["hbn"])


def test_spec_holds_the_longest_window_of_each_montage(mixture, stores, small: Montage, large: Montage) -> None:
    spec = signal_spec(mixture, stores)
    assert spec.rate_hz == 100.0
    assert spec.montages == {small.name: small, large.name: large}
    assert spec.n_samples == {small.name: 50, large.name: 20}


def test_weights_are_one_per_corpus(mixture) -> None:
    assert corpus_weights(mixture) == {"hbn": 0.7, "tuh": 0.3}
    mixture.loc[0, "weight"] = 0.6
    with pytest.raises(ConfigError, match="corpus hbn has several weights"):
        corpus_weights(mixture)
    with pytest.raises(ConfigError, match="holds no window"):
        corpus_weights(mixture.iloc[:0])


def test_how_a_mixture_is_drawn_stands_in_its_table(mixture) -> None:
    assert Mixing.of(mixture) == Mixing({"hbn": 0.7, "tuh": 0.3}, False, "windows", None)
    said = mixture.assign(is_rounded=True, drawn_by="persons", max_windows_per_person=5)
    assert Mixing.of(said) == Mixing({"hbn": 0.7, "tuh": 0.3}, True, "persons", 5)
    with pytest.raises(ConfigError, match="holds no window"):
        Mixing.of(said.iloc[:0])
    with pytest.raises(ConfigError, match="drawn by 'hours'; known: windows, persons"):
        Mixing.of(said.assign(drawn_by="hours"))
    said.loc[0, "max_windows_per_person"] = 6
    with pytest.raises(ConfigError, match="max_windows_per_person"):
        Mixing.of(said)


def test_stores_that_do_not_fit_are_refused(mixture, stores) -> None:
    with pytest.raises(ConfigError, match=r"corpus tuh, which has no signal store"):
        signal_spec(mixture, {"hbn": stores["hbn"]})
    with pytest.raises(ConfigError, match=r"corpus tuh, which has no signal store"):
        window_groups(mixture, {"hbn": stores["hbn"]}, "train")
    mixture.loc[0, "n_windows"] = 5
    with pytest.raises(StoreError, match="leaves its recording"):
        window_groups(mixture, stores, "train")
    stores["tuh"].rate_hz = 200.0
    with pytest.raises(ConfigError, match=r"differ in sampling rate"):
        signal_spec(mixture, stores)


def corpus_table(corpus: str, n_persons: int, n_windows: Iterable[int], n_samples: int, montage: str) -> pd.DataFrame:
    """One run per person, in recordings of four persons each."""
    table = pd.DataFrame({"n_windows": list(n_windows), "person": [f"{corpus}:p{k:02d}" for k in range(n_persons)]})
    return table.assign(
        recording_id=[f"r{k // 4}" for k in range(n_persons)], corpus=corpus, montage=montage, cut="pretrain",
        segment=0, start=0, n_samples=n_samples, stride=1, moment=-1, label=None, target=np.nan, targets=None,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["windows", "hours", "persons"])
@pytest.mark.parametrize("limit", [None, 6])
def test_the_declared_ratio_is_realised_from_tables_to_steps(by: str, limit: int | None, stores, small, large) -> None:
    """HBN in windows of 8 samples, TUH of 20: the ratio holds in every step, in the unit that it is declared in."""
    hbn = corpus_table("hbn", 16, np.arange(2, 66, 4), 8, large.name)
    tuh = corpus_table("tuh", 12, [70, *range(1, 12)], 20, small.name)
    persons = pd.DataFrame({"person": [*hbn["person"], *tuh["person"]]})
    splits = persons.assign(corpus=persons["person"].str[:3], identity=persons["person"], split="train")
    table = mix_windows({"hbn": hbn, "tuh": tuh}, splits, MixtureParams(by=by, max_windows_per_person=limit))
    mixing = Mixing.of(table)
    batch_size = {"windows": 20, "persons": 20, "hours": 82}[by]  # 0.7 / 8 : 0.3 / 20 = 35 : 6
    plan = MixturePlan(
        window_groups(table, stores, "train"), mixing.weights, batch_size, 0,
        drawn_by=mixing.drawn_by, max_windows_per_person=mixing.max_windows_per_person,
    )  # fmt: skip
    counted = Counter()
    for step in range(plan.n_steps_per_epoch):
        units = {
            d.group.corpus: len(d.positions) * (d.group.n_samples if by == "hours" else 1) for d in plan.step(step)
        }
        window = 20 if by == "hours" else 1
        assert abs(units["hbn"] - 0.7 * sum(units.values())) <= window  # to one window
        counted.update(units)
    assert counted["hbn"] / counted.total() == pytest.approx(0.7, rel=1e-3)


def test_a_ratio_by_size_is_rounded_once_and_then_exact(stores, small, large) -> None:
    hbn, tuh = (corpus_table(c, 4, [n] * 4, 8, m.name) for c, n, m in (("hbn", 40, large), ("tuh", 10, small)))
    persons = pd.DataFrame({"person": [*hbn["person"], *tuh["person"]]})
    splits = persons.assign(corpus=persons["person"].str[:3], identity=persons["person"], split="train")
    for temperature, counts in ((1, {"hbn": 16, "tuh": 4}), (2, {"hbn": 13, "tuh": 7}), (100, {"hbn": 10, "tuh": 10})):
        params = MixtureParams(weights="by_size", temperature=temperature)
        mixing = Mixing.of(mix_windows({"hbn": hbn, "tuh": tuh}, splits, params))
        assert mixing.is_rounded
        weights = rounded_weights(mixing.weights, 20)
        groups = window_groups(mix_windows({"hbn": hbn, "tuh": tuh}, splits, params), stores, "train")
        assert MixturePlan(groups, weights, 20, 0).counts == counts


class WideStore:
    """Addresses of 70 thousand recordings, without their samples."""

    def __init__(self, ids: Iterable[str], n_samples: NDArray[np.int64]) -> None:
        self._ids, self._first_rows = pd.Index(ids), np.cumsum(n_samples) - n_samples

    def locate(self, montage, recording_ids, starts, n_samples):
        found = self._ids.get_indexer(pd.Index(recording_ids)).astype(np.int64)
        return self._first_rows[found] + starts, found


def test_an_index_of_24_million_windows_is_small_and_quick() -> None:
    """TUEG: 70 thousand recordings, 14 thousand persons, windows of 4 s."""
    n_windows = np.random.default_rng(0).integers(200, 486, 70_000)
    names = pd.Series([f"tuh:aaaa{k // 5:05d}" for k in range(70_000)], dtype="str")
    ids = names + "_s" + pd.Series(np.arange(70_000) % 5, dtype="str")
    runs = pd.DataFrame({"recording_id": ids, "person": names, "n_windows": n_windows.astype(np.int32)})
    runs = runs.assign(corpus="tuh", montage="21ch", start=0, n_samples=400, stride=400, split="train")
    store = WideStore(ids, n_windows * 400)
    store.locate("21ch", ids[:1], np.zeros(1, np.int64), 400)  # a store that is open
    spent_s = []
    for _ in range(12):  # the machine is noisy: the least of several tells what it takes
        began = time.process_time()
        [group] = window_groups(runs, {"tuh": store}, "train")["tuh"]
        spent_s.append(time.process_time() - began)
        if spent_s[-1] <= 0.1:
            break
    assert len(group) > 23.9e6
    assert group.n_bytes <= len(group)  # 0.07 byte a window
    assert min(spent_s) <= 0.1

    tracemalloc.start()
    plan = MixturePlan({"tuh": [group]}, {"tuh": 1.0}, 256, 0)
    for step in (0, 1, 50_000, plan.n_steps_per_epoch):
        plan.step(step)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1e6  # nothing is kept of an order, nor made for one

    single = expand(runs.iloc[:3000].assign(moment=-1)).sample(frac=1, random_state=0).assign(stride=1)
    [group] = window_groups(single, {"tuh": store}, "train")["tuh"]
    assert group.ends is None
    assert group.n_bytes == 16 * len(group)

    labelled = runs.assign(label=pd.Series(np.where(np.arange(70_000) % 3, "normal", "abnormal"), dtype="str"))
    [group] = window_groups(labelled, {"tuh": store}, "train")["tuh"]
    assert group.ends is not None
    assert group.n_bytes == 28 * 70_000  # four more per run, however many windows it has
