"""From a table of windows through plan and loader to batches: every window is the one that the plan names.

Tables are shuffled, persons go under several names, and identities sort in another order than persons and recordings.
Windows are told by their samples, which are compared with what the store reads by recording id and first sample.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import eegfm.training.plans.pairs.stratum as stratum_module
from eegfm.batch import StoredBatch
from eegfm.errors import ConfigError
from eegfm.nn.false_negatives import allowed_negatives
from eegfm.recording import Montage
from eegfm.store.layout import StoreFacts
from eegfm.store.reader import SignalStore
from eegfm.store.writer import StoreWriter
from eegfm.training.loading.groups import window_groups
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.pairings import (
    ConditionPairs,
    MovieMomentPairs,
    PairConfig,
    TimeNeighbourPairs,
    ViewPairs,
    WithinRecordingPairs,
)
from eegfm.training.plans.pairs.pair_plan import PairPlan, pair_sources
from eegfm.training.plans.pairs.source import Batching, PairSource
from eegfm.windows.runs import expand
from pair_tables import table

N_SAMPLES, LENGTH, MAX_GAP = 50, 9000, 160
KINDS: list[PairConfig] = [
    MovieMomentPairs(),
    ConditionPairs(),
    ConditionPairs(across="any"),
    TimeNeighbourPairs(max_gap_s=MAX_GAP / 100),
    ViewPairs(),
    WithinRecordingPairs(moments=2, gap_s=(0.1, MAX_GAP / 100)),
]


def montage(n_channels: int) -> Montage:
    positions = tuple((0.01 * k, 0.05, 0.05) for k in range(n_channels))
    return Montage(tuple(f"S{k}" for k in range(n_channels)), positions, (True,) * n_channels, "average")


TWO, THREE = montage(2), montage(3)
RECORDINGS = {
    "hbn": [(f"p{(7 * k) % 5}_{k}", TWO if k % 3 else THREE) for k in range(14)],
    "tuh": [(f"p{(3 * k) % 4}_{k}", TWO) for k in range(6)],
}
seeds = pytest.mark.parametrize("seed", range(4))
kinds = pytest.mark.parametrize("pairing", KINDS, ids=["movie", "condition", "any", "neighbours", "views", "within"])


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SignalStore]:
    """Recordings of random samples, committed in no order of their names."""
    rng, found = np.random.default_rng(0), {}
    for corpus, recordings in RECORDINGS.items():
        folder: Path = tmp_path_factory.mktemp(corpus)
        with StoreWriter(folder, StoreFacts(100.0)) as writer:
            for k in rng.permutation(len(recordings)):
                name, of_montage = recordings[k]
                n = of_montage.n_channels
                samples, scales_uv = rng.integers(-9999, 9999, (LENGTH, n), dtype=np.int16), np.ones(n, np.float32)
                writer.commit(
                    recording_id=f"{corpus}:{name}", key="", montage=of_montage, facts={}, events=[], samples=samples,
                    scales_uv=scales_uv,
                )  # fmt: skip
        found[corpus] = SignalStore(folder)
    return found


def mixture(seed: int) -> pd.DataFrame:
    """Runs and single windows of two splits, in no order; strides of one table are equal."""
    rng = np.random.default_rng(seed)
    stride = int(rng.choice([25, 50, 70]))
    rows: list[dict[str, Any]] = []
    for corpus, recordings in RECORDINGS.items():
        for name, of_montage in recordings:
            start = int(rng.integers(0, 90))
            for segment in range(3):
                for _ in range(int(rng.integers(1, 4))):
                    n_windows = int(rng.choice([1, 1, 2, 9]))
                    rows.append(
                        {
                            "recording_id": f"{corpus}:{name}",
                            "person": f"{corpus}:{name[:2]}",
                            "corpus": corpus,
                            "montage": of_montage.name,
                            "segment": segment,
                            "start": start,
                            "stride": stride,
                            "n_samples": N_SAMPLES,
                            "n_windows": n_windows,
                            "moment": int(rng.choice([-1, 0, 3])),
                            "label": rng.choice(["open", "closed", None]),
                            "target": float(rng.choice([np.nan, 0.5, 2.5])),
                        }
                    )
                    start += n_windows * stride + int(rng.integers(0, 90))
                start += 60
    made = table(rows)
    # Some persons go under two names, and identities sort like neither persons nor recordings.
    who = made["person"].replace({"hbn:p3": "hbn:p0", "tuh:p1": "tuh:p0"})
    identity = [sha256(f"{name}{seed}".encode()).hexdigest()[:8] for name in who]
    split = np.where(who.isin(["hbn:p4", "tuh:p2"]), "validation", "train")
    return made.assign(identity=identity, split=split).sample(frac=1, random_state=seed, ignore_index=True)


def sources_of(
    paired: pd.DataFrame, windows: pd.DataFrame, stores: dict[str, SignalStore], pairing: PairConfig
) -> dict[str, list[PairSource]]:
    groups = window_groups(windows, stores, "train")
    return {corpus: [pair_sources(corpus, paired, groups, stores, pairing, Batching(4, 1))] for corpus in groups}


def batches_of(windows: pd.DataFrame, stores: dict[str, SignalStore], pairing: PairConfig, **ranks: int) -> Any:
    """All batches of two epochs; None where there is no pair."""
    plan = PairPlan(sources_of(windows[windows["split"] == "train"], windows, stores, pairing), 1, **ranks)
    return [batch for step in TrainingLoader(plan, stores, 2 * plan.n_steps_per_epoch) for batch in step.batches]


class Told:
    """Windows of a table by their samples."""

    def __init__(self, windows: pd.DataFrame, stores: dict[str, SignalStore]) -> None:
        self._by_samples = {}
        for row in expand(windows[windows["split"] == "train"]).itertuples():
            stretch = stores[row.corpus].stretch(row.recording_id, row.start, row.start + row.n_samples)
            self._by_samples[stretch.astype(np.int16).tobytes()] = row

    def rows(self, batch: StoredBatch) -> list[Any]:
        return [self._by_samples[samples.numpy().tobytes()] for samples in batch["samples"]]


def are_a_pair(one: Any, other: Any, pairing: PairConfig) -> bool:
    """The definition of each kind, read off the rows of the table."""
    apart = one.recording_id != other.recording_id or abs(one.start - other.start) >= N_SAMPLES
    if isinstance(pairing, ViewPairs):
        return one is other
    if isinstance(pairing, TimeNeighbourPairs | WithinRecordingPairs):
        in_one = (one.recording_id, one.segment) == (other.recording_id, other.segment)
        return in_one and apart and one.start < other.start <= one.start + MAX_GAP
    if one.label != other.label or one.label is None:
        return False
    if isinstance(pairing, ConditionPairs) and pairing.across == "any":
        return apart
    return bool(
        one.identity != other.identity and (isinstance(pairing, ConditionPairs) or one.moment == other.moment >= 0)
    )


def are_alike(one: Any, other: Any, pairing: PairConfig) -> bool:
    if isinstance(pairing, ViewPairs):
        return bool(one.recording_id == other.recording_id and abs(one.start - other.start) < N_SAMPLES)
    if isinstance(pairing, WithinRecordingPairs):
        return bool(one.recording_id != other.recording_id or abs(one.start - other.start) <= MAX_GAP)
    if isinstance(pairing, TimeNeighbourPairs):
        return bool(one.recording_id == other.recording_id and abs(one.start - other.start) <= MAX_GAP)
    overlap = isinstance(pairing, ConditionPairs) or abs(one.moment - other.moment) * one.stride < N_SAMPLES
    return bool(one.label == other.label and overlap)


def check(windows: pd.DataFrame, stores: dict[str, SignalStore], pairing: PairConfig) -> Iterator[StoredBatch]:
    told, classes = Told(windows, stores), ["closed", "open"]
    for batch in batches_of(windows, stores, pairing):
        rows = told.rows(batch)
        assert {(row.corpus, row.montage) for row in rows} == {(batch["corpus"], batch["montage"])}
        half = len(rows) // 2
        assert all(are_a_pair(one, other, pairing) for one, other in zip(rows[:half], rows[half:], strict=True))
        expected = [
            [i % half != j % half and not are_alike(one, other, pairing) for j, other in enumerate(rows)]
            for i, one in enumerate(rows)
        ]
        assert allowed_negatives(batch["pairs"]).tolist() == expected
        labels = [classes.index(row.label) if isinstance(row.label, str) else -1 for row in rows]
        assert batch["targets"]["label"].tolist() == labels
        assert np.array_equal(batch["targets"]["target"], [row.target for row in rows], equal_nan=True)
        persons = batch["person"].tolist()
        assert all(
            (persons[i] == persons[j]) == (rows[i].identity == rows[j].identity)
            for i in range(len(rows))
            for j in range(i)
        )
        yield batch


@kinds
@seeds
def test_every_window_is_the_named_one_and_pairs_belong_together(
    pairing: PairConfig, seed: int, stores: dict[str, SignalStore]
) -> None:
    found = list(check(mixture(seed), stores, pairing))
    assert len({(batch["corpus"], batch["montage"]) for batch in found}) > 1
    assert len(found) > 5
    assert {batch["pairs"].pairing for batch in found} == {pairing.name}


@pytest.mark.parametrize("pairing", [pairing for pairing in KINDS if pairing.name != "views"], ids=lambda p: p.name)
def test_the_check_sees_windows_numbered_by_their_rows(
    pairing: PairConfig, stores: dict[str, SignalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stratum_module, "_positions", lambda index, rows, labels: np.arange(len(rows)))
    with pytest.raises(AssertionError):
        list(check(mixture(0), stores, pairing))


@kinds
def test_the_order_of_rows_changes_no_batch(pairing: PairConfig, stores: dict[str, SignalStore]) -> None:
    windows = mixture(1)
    one = batches_of(windows, stores, pairing)
    other = batches_of(windows.sample(frac=1, random_state=9), stores, pairing)
    assert [b["samples"].numpy().tobytes() for b in one] == [b["samples"].numpy().tobytes() for b in other]


@kinds
def test_batches_of_ranks_are_those_of_one_process(pairing: PairConfig, stores: dict[str, SignalStore]) -> None:
    windows = mixture(2)
    one = batches_of(windows, stores, pairing)
    ranks = [batches_of(windows, stores, pairing, rank=rank, world_size=2) for rank in range(2)]
    for whole, *parts in zip(one, *ranks, strict=True):
        for rank, part in enumerate(parts):
            assert (part["samples"] == whole["samples"][rank::2]).all()
            assert (part["pairs"].group == whole["pairs"].group[rank::2]).all()
            assert (part["targets"]["label"] == whole["targets"]["label"][rank::2]).all()


def test_windows_that_begin_at_one_sample_are_told_apart_by_their_class(stores: dict[str, SignalStore]) -> None:
    """Two events at one time: each of the two windows keeps its own class."""
    rows = [
        {"recording_id": f"tuh:{name}", "corpus": "tuh", "montage": TWO.name, "label": label, "start": start,
         "n_samples": N_SAMPLES, "identity": name}
        for name, _ in RECORDINGS["tuh"] for start in (0, 500) for label in ("open", "closed")
    ]  # fmt: skip
    windows = table(rows).assign(split="train").sample(frac=1, random_state=3, ignore_index=True)
    batches = batches_of(windows, stores, ConditionPairs())
    assert len(batches) == 6
    for batch in batches:
        label = batch["targets"]["label"]
        assert (label[:4] == label[4:]).all()
        assert (label[:, None] == label[None, :]).equal(batch["pairs"].group[:, None] == batch["pairs"].group[None, :])


def test_windows_that_are_not_drawn_from_are_refused(stores: dict[str, SignalStore]) -> None:
    windows = mixture(0)
    trained = windows[windows["split"] == "train"]
    groups = window_groups(windows, stores, "train")
    moved = trained.assign(start=trained["start"] + (trained["montage"] == TWO.name))
    with pytest.raises(ConfigError, match=r"\d+ of \d+ windows .* \(hbn, 2ch-.*, 50 samples\) are not drawn from"):
        pair_sources("hbn", moved, groups, stores, ConditionPairs(), Batching(2, 0))
    with pytest.raises(ConfigError, match=r"windows of tuh, 2ch-.*, 50 samples, but none of them is drawn from"):
        pair_sources("tuh", trained, {"hbn": groups["hbn"]}, stores, ConditionPairs(), Batching(2, 0))
