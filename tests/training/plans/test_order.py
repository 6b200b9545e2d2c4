"""Orders of one group: every number once per pass, and in runs that a disk reads in one go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.training.plans.order import ClassRounds, FullShuffle, Order, PersonRounds, RunShuffle
from eegfm.training.plans.permutation import Ints, new_key

KEY = new_key("order")


def passes(order: Order, n_passes: int, n_numbers: int) -> Ints:
    return order.at(np.arange(n_passes * n_numbers), KEY).reshape(n_passes, n_numbers)


@pytest.mark.parametrize("n", [1, 3, 15, 17, 1000])
@pytest.mark.parametrize("run_windows", [2, 16])
@pytest.mark.parametrize("pool_windows", [16, 100])
def test_runs_show_every_number_once_per_pass(n: int, run_windows: int, pool_windows: int) -> None:
    found = passes(RunShuffle(n, run_windows, pool_windows), 3, n)
    assert (np.sort(found, axis=1) == np.arange(n)).all()


@pytest.mark.parametrize("n", [1, 2, 97, 1000])
def test_full_shuffle_shows_every_number_once_per_pass_and_each_pass_anew(n: int) -> None:
    found = passes(FullShuffle(n), 3, n)
    assert (np.sort(found, axis=1) == np.arange(n)).all()
    if n > 2:
        assert not (found[0] == found[1]).all()
        assert not (found[1] == found[2]).all()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 3000), run_windows=st.integers(1, 40), pool_runs=st.integers(1, 40), first=st.integers(0, 9000))
def test_pools_hold_what_their_places_give(n: int, run_windows: int, pool_runs: int, first: int) -> None:
    order = RunShuffle(n, run_windows, pool_runs * run_windows)
    places = np.arange(first, first + 64)
    pools = {pool: order.pool_places(*pool) for pool in order.pools(places)}
    assert np.isin(places, np.concatenate(list(pools.values()))).all()
    for (cycle, _), inside in pools.items():
        assert len(inside) <= pool_runs * run_windows
        assert (inside // n == cycle).all()
        # A pool is whole runs: circular stretches of neighbours, but for the one short run of a pass.
        numbers = np.sort(order.at(inside, KEY))
        n_stretches = (np.diff(numbers, prepend=numbers[-1] - n) != 1).sum()
        assert n_stretches <= -(-len(inside) // run_windows) + 1


def test_pools_are_of_equal_size() -> None:
    order = RunShuffle(65_536 + 16, 16, 65_536)
    sizes = [len(order.pool_places(0, pool)) for pool in range(2)]
    assert sizes == [32_768, 32_784]


def test_where_runs_begin_changes_with_every_pass() -> None:
    found = passes(RunShuffle(160, 16, 16), 20, 160).reshape(20, 10, 16)
    begins = {int(run.min()) for run in found[:, 0]}  # a pool of one run
    assert len(begins) > 15


def test_runs_reach_nearly_as_many_recordings_as_a_full_shuffle() -> None:
    """70 thousand recordings; expected of 256 windows: 255.6 with a full shuffle, 247.8 with runs of 16."""
    ends = np.cumsum(np.random.default_rng(0).integers(200, 486, 70_000))
    n = int(ends[-1])

    def distinct(order: Order) -> list[int]:
        batches = order.at(np.arange(60 * 256) + 5_000_000, KEY).reshape(60, 256)
        return [len(np.unique(ends.searchsorted(batch, side="right"))) for batch in batches]

    full, runs = distinct(FullShuffle(n)), distinct(RunShuffle(n, 16, 65_536))
    assert np.mean(full) == pytest.approx(255.6, abs=0.3)
    assert np.mean(runs) >= 245
    assert np.mean(runs) == pytest.approx(247.8, abs=1.0)


QUOTAS = np.array([3, 1, 40, 7, 2])


def test_every_person_comes_once_per_round() -> None:
    order = PersonRounds(QUOTAS)
    ends = np.cumsum(QUOTAS)
    persons = ends.searchsorted(passes(order, 84, 5), side="right")
    assert (np.sort(persons, axis=1) == np.arange(5)).all()
    assert len({tuple(row) for row in persons.tolist()}) > 40  # of 120 orders


def test_a_person_shows_all_windows_before_any_again() -> None:
    order = PersonRounds(QUOTAS)
    firsts = np.cumsum(QUOTAS) - QUOTAS
    found = passes(order, 84, 5).ravel()
    for first, quota in zip(firsts, QUOTAS, strict=True):
        own = found[(found >= first) & (found < first + quota)] - first
        assert len(own) == 84
        cycles = own[: 84 // quota * quota].reshape(-1, quota)
        assert (np.sort(cycles, axis=1) == np.arange(quota)).all()
        if quota in (3, 7):
            assert len({tuple(cycle) for cycle in cycles.tolist()}) > 3  # each cycle in an order of its own


def test_classes_take_turns_whatever_their_windows() -> None:
    classes = np.random.default_rng(0).permutation(np.repeat([-1, 0, 2, 3], [20, 300, 3, 40]))
    order = ClassRounds(classes)
    assert order.n_turns == 343
    found = order.at(np.arange(900), KEY)
    rounds = classes[found].reshape(300, 3)
    assert (np.sort(rounds, axis=1) == [0, 2, 3]).all()
    assert len({tuple(own) for own in rounds.tolist()}) == 6
    for number in (0, 2, 3):
        own, n = found[classes[found] == number], int((classes == number).sum())
        passes_of = own[: len(own) // n * n].reshape(-1, n)
        assert (np.sort(passes_of, axis=1) == np.flatnonzero(classes == number)).all()
    assert (order.at(np.array([7, 500]), KEY) == found[[7, 500]]).all()
