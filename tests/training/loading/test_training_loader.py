"""Batches hold the windows that the plan names, and the threads behave."""

import threading

import numpy as np
import pytest
import torch

from eegfm.errors import StoreError
from eegfm.training.blocks import ShuffleParams
from eegfm.training.loading.training_loader import TrainingLoader
from eegfm.training.plans.mixture_plan import MixturePlan
from prefetch_threads import prefetch_threads

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


def test_batches_hold_the_windows_of_the_plan(groups, stores, plan) -> None:
    for step, batches, n_windows, *_ in TrainingLoader(plan, stores, 7):
        assert n_windows == plan.n_windows_per_step
        assert [b["corpus"] for b in batches] == ["hbn", "tuh"]
        for batch, draw in zip(batches, plan.step(step), strict=True):
            group = draw.group
            recordings, starts = np.divmod(group.locate(draw.positions)[0], 90)
            assert batch["samples"].dtype == torch.int16
            assert batch["samples"].shape == (
                len(draw.positions),
                group.n_samples,
                5 if group.corpus == "hbn" else 3,
            )
            assert batch["samples"][:, 0, 0].tolist() == (100 * recordings + starts).tolist()
            assert batch["samples"][:, -1, 2].tolist() == (100 * recordings + starts + group.n_samples - 1).tolist()
            assert batch["first_row"].tolist() == group.locate(draw.positions)[0].tolist()
            assert batch["recording"].tolist() == recordings.tolist()
            assert batch["person"].tolist() == recordings.tolist()
            assert batch["person"].dtype == torch.int64
            assert batch["scales_uv"][:, 0].tolist() == (recordings + 1).tolist()
            assert batch["montage"] == group.montage
    assert step == 6


RUNS = ShuffleParams(run_windows=3, pool_windows=6)


def log_of(loader: TrainingLoader) -> list[list[int]]:
    """Every sample of every step, as numbers: batches are gone when the next one comes."""
    return [[int(v) for batch in step.batches for v in batch["samples"].flatten()] for step in loader]


@pytest.mark.parametrize("shuffle", [ShuffleParams(), RUNS], ids=["windows", "runs"])
def test_reading_ahead_changes_no_sample(groups, stores, shuffle) -> None:
    def fresh() -> MixturePlan:
        return MixturePlan(groups, {"hbn": 0.6, "tuh": 0.4}, 5, seed=3, shuffle=shuffle)

    n_steps, now = 23, TrainingLoader(fresh(), stores, 23)
    want = [[int(v) for batch in now.batches(k) for v in batch["samples"].flatten()] for k in range(n_steps)]
    assert len({tuple(step) for step in want}) > n_steps // 2
    for n_ahead in (1, 2, 7):
        for read_ahead_steps in (0, 1, 9, 64):
            options = {"n_ahead": n_ahead, "read_ahead_steps": read_ahead_steps}
            assert log_of(TrainingLoader(fresh(), stores, n_steps, **options)) == want
    for first_step in (1, 8, 22):
        loader = TrainingLoader(fresh(), stores, n_steps, first_step=first_step)
        assert log_of(loader) == want[first_step:]
        assert len(loader) == n_steps - first_step
    both = TrainingLoader(fresh(), stores, n_steps)
    assert [log_of(both), log_of(both)] == [want, want]


def asked_and_gathered(store, monkeypatch: pytest.MonkeyPatch, *, is_cold: bool) -> list[tuple[str, list[int]]]:
    """What is asked for and gathered, in order, as sorted rows."""
    found: list[tuple[str, list[int]]] = []
    gather = store.gather

    def logged(montage, rows, n_samples, out=None):
        found.append(("gather", sorted({r + k for r in rows.tolist() for k in range(n_samples)})))
        return gather(montage, rows, n_samples, out)

    def read_ahead(montage, first_rows, n_rows) -> bool:
        stretches = zip(first_rows.tolist(), np.broadcast_to(n_rows, first_rows.shape).tolist(), strict=True)
        found.append(("ask", sorted({r + k for r, n in stretches for k in range(n)})))
        return is_cold

    monkeypatch.setattr(store, "gather", logged)
    monkeypatch.setattr(store, "read_ahead", read_ahead)
    return found


def test_what_is_gathered_cold_was_asked_for_before(groups, stores, plan, monkeypatch) -> None:
    found = asked_and_gathered(stores["hbn"], monkeypatch, is_cold=True)
    list(TrainingLoader(plan, stores, 40, read_ahead_steps=8, n_ahead=1))
    gathers = [k for k, (kind, _) in enumerate(found) if kind == "gather"]
    asks = [k for k, (kind, _) in enumerate(found) if kind == "ask"]
    assert len(gathers) == len(asks) == 40
    assert [found[k][1] for k in asks] == [found[k][1] for k in gathers]
    assert all(ask < gather for ask, gather in zip(asks, gathers, strict=True))
    # One block in work, one waiting, one taken: the reading stays that close to the gathering.
    assert all(gathers[k - 24] < asks[k] for k in range(24, 40))


def test_what_is_in_memory_is_looked_at_now_and_then(groups, stores, plan, monkeypatch) -> None:
    found = asked_and_gathered(stores["hbn"], monkeypatch, is_cold=False)
    list(TrainingLoader(plan, stores, 40))
    assert sum(kind == "ask" for kind, _ in found) == 5


def test_a_pool_is_asked_for_once(groups, stores, monkeypatch) -> None:
    plan = MixturePlan({"hbn": groups["hbn"]}, {"hbn": 1.0}, 3, seed=0, shuffle=RUNS)
    found = asked_and_gathered(stores["hbn"], monkeypatch, is_cold=True)
    list(TrainingLoader(plan, stores, 32))
    keys = {extent.key for k in range(32) for extent in plan.extents(k)}
    asks = [rows for kind, rows in found if kind == "ask"]
    assert 4 <= len(asks) <= len(keys) < 32


def test_batches_that_are_kept_stay_as_they_are(groups, stores, plan) -> None:
    kept = list(TrainingLoader(plan, stores, 30, n_ahead=2))
    now = TrainingLoader(plan, stores, 30)
    for step, batches, *_ in kept:
        for batch, want in zip(batches, now.batches(step), strict=True):
            assert torch.equal(batch["samples"], want["samples"])


def test_a_part_of_a_batch_keeps_all_of_it(groups, stores, plan) -> None:
    parts = [
        (batches[0]["samples"][1:, 3], batches[1]["samples"].numpy()[0])
        for _, batches, *_ in TrainingLoader(plan, stores, 30)
    ]
    now = TrainingLoader(plan, stores, 30)
    for step, (row, window) in enumerate(parts):
        hbn, tuh = now.batches(step)
        assert torch.equal(row, hbn["samples"][1:, 3])
        assert (window == tuh["samples"].numpy()[0]).all()


def test_one_thread_for_gathering_and_as_many_as_before_for_the_rest(plan, stores) -> None:
    def in_a_thread() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found[0]

    before, counts = torch.get_num_threads(), []
    gather = stores["hbn"].gather

    def counted(*args):
        counts.append(torch.get_num_threads())
        return gather(*args)

    stores["hbn"].gather = counted
    try:
        torch.set_num_threads(3)
        steps = iter(TrainingLoader(plan, stores, 5))
        next(steps)
        assert (torch.get_num_threads(), in_a_thread()) == (3, 3)
        list(steps)
        assert set(counts) == {1}
        assert (torch.get_num_threads(), in_a_thread()) == (3, 3)
    finally:
        torch.set_num_threads(before)


def test_errors_of_the_thread_are_raised_where_they_matter(plan, stores) -> None:
    def broken(*_: object) -> None:
        raise StoreError("shard is missing")

    stores["tuh"].gather = broken
    with pytest.raises(StoreError, match="shard is missing"):
        list(TrainingLoader(plan, stores, 5))
    assert not prefetch_threads()


@pytest.mark.parametrize("read_ahead_steps", [0, 64])
def test_threads_end_with_the_iteration(plan, stores, read_ahead_steps: int) -> None:
    steps = iter(TrainingLoader(plan, stores, 10_000, read_ahead_steps=read_ahead_steps))
    next(steps)
    assert len(prefetch_threads()) == (2 if read_ahead_steps else 1)
    steps.close()
    assert not prefetch_threads()


def test_errors_of_reading_ahead_are_raised_too(plan, stores) -> None:
    def broken(*_: object) -> bool:
        raise StoreError("disk is gone")

    stores["hbn"].read_ahead = broken
    with pytest.raises(StoreError, match="disk is gone"):
        list(TrainingLoader(plan, stores, 5))
    assert not prefetch_threads()
