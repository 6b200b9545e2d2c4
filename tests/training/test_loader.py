"""Batches hold the windows that the plan names, and the thread behaves."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from eegfm.batch import WindowIndex
from eegfm.errors import StoreError
from eegfm.training.loader import TrainingLoader, ValidationLoader, prefetch, thinned
from eegfm.training.plan import MixturePlan

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def prefetch_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "eegfm-prefetch"]


@pytest.fixture
def groups(small, large, stores) -> dict[str, list[WindowIndex]]:
    found = {}
    for corpus, montage, n_samples in (("hbn", large, 20), ("tuh", small, 30)):
        store = stores[corpus]
        ids = [f"r{r}" for r in range(store.n_recordings) for _ in range(3)]
        starts = np.tile(np.array([0, 15, 45]), store.n_recordings)
        rows, scale_rows = store.locate(montage.name, ids, starts, n_samples)
        found[corpus] = [WindowIndex(corpus, montage.name, rows, scale_rows, n_samples)]
    return found


@pytest.fixture
def plan(groups) -> MixturePlan:
    return MixturePlan(groups, {"hbn": 0.6, "tuh": 0.4}, 5, seed=0)


def test_batches_hold_the_windows_of_the_plan(groups, stores, plan) -> None:
    for step, batches in enumerate(TrainingLoader(plan, stores, 7)):
        assert [b["corpus"] for b in batches] == ["hbn", "tuh"]
        for batch, draw in zip(batches, plan.step(step), strict=True):
            group = draw.group
            recordings, starts = np.divmod(group.rows[draw.positions], 90)
            assert batch["samples"].dtype == torch.int16
            assert batch["samples"].shape == (
                len(draw.positions),
                group.n_samples,
                5 if group.corpus == "hbn" else 3,
            )
            assert batch["samples"][:, 0, 0].tolist() == (100 * recordings + starts).tolist()
            assert batch["samples"][:, -1, 2].tolist() == (100 * recordings + starts + group.n_samples - 1).tolist()
            assert batch["recording"].tolist() == recordings.tolist()
            assert batch["scales_uv"][:, 0].tolist() == (recordings + 1).tolist()
            assert batch["montage"] == group.montage
    assert step == 6


def test_validation_shows_every_window_once_and_always_the_same(groups, stores) -> None:
    loader = ValidationLoader(groups, stores, {"hbn": 5, "tuh": 2}, n_windows=100)
    batches = [b for step in loader for b in step]
    assert len(loader) == 5  # nine TUH windows, two at a time
    for corpus, n in (("hbn", 12), ("tuh", 9)):
        seen = torch.cat([b["samples"][:, 0, 0] for b in batches if b["corpus"] == corpus])
        assert len(seen.unique()) == len(seen) == n
    again = [b["samples"] for step in loader for b in step]
    assert all(torch.equal(a["samples"], b) for a, b in zip(batches, again, strict=True))


def test_thinning_spreads_over_all_groups(groups) -> None:
    draws = thinned([groups["hbn"][0], groups["tuh"][0]], 7)
    assert [d.group.corpus for d in draws] == ["hbn", "tuh"]
    assert [d.positions.tolist() for d in draws] == [[0, 3, 7, 10], [1, 5, 8]]
    assert sum(len(d.positions) for d in thinned(groups["hbn"], 100)) == 12


def test_prefetch_keeps_order_and_ends_its_thread() -> None:
    assert list(prefetch(lambda: iter(range(50)), 3)) == list(range(50))
    assert not prefetch_threads()


def test_prefetch_runs_no_further_ahead_than_told() -> None:
    made: list[int] = []
    enough = threading.Event()

    def numbers() -> Iterator[int]:
        for k in range(20):
            made.append(k)
            if k == 4:
                enough.set()
            yield k

    items = prefetch(numbers, 3)
    assert next(items) == 0
    assert enough.wait(5)  # 0 taken, 1 to 3 queued, 4 in hand
    assert made == [0, 1, 2, 3, 4]
    items.close()
    assert not prefetch_threads()


def test_errors_of_the_thread_are_raised_where_they_matter(plan, stores) -> None:
    def broken(*_: object) -> None:
        raise StoreError("shard is missing")

    stores["tuh"].gather = broken
    with pytest.raises(StoreError, match="shard is missing"):
        list(TrainingLoader(plan, stores, 5))
    assert not prefetch_threads()
