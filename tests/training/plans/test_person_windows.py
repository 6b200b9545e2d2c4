"""Limits per person: how many windows of whom, and which."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.batch import WindowIndex
from eegfm.training.plans.permutation import new_key, subkey
from eegfm.training.plans.person_windows import PersonSample, PersonWindows, limited

KEY = new_key("persons")


def index(persons: list[int], n_windows: list[int] | None = None) -> WindowIndex:
    n_runs = len(persons)
    ends = None if n_windows is None else np.cumsum(n_windows)
    columns = np.arange(n_runs), np.zeros(n_runs, dtype=np.int32), np.array(persons, dtype=np.int32)
    return WindowIndex("c", "m", 10, 10, *columns, ends)


def test_windows_of_each_person() -> None:
    for group in (index([0, 0, 2, 5, 5], [3, 1, 4, 2, 2]), index([0] * 4 + [2] * 4 + [5] * 4)):
        persons = PersonWindows.of(group)
        assert persons.persons.tolist() == [0, 2, 5]
        assert persons.firsts.tolist() == [0, 4, 8]
        assert persons.counts.tolist() == persons.quotas.tolist() == [4, 4, 4]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 30), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(1, 40))
def test_a_limit_is_shared_out_over_groups_to_the_last_window(counts: list[list[int]], limit: int) -> None:
    groups = [PersonWindows.of(index(list(range(6)), row)) for row in counts]
    shared = limited(groups, limit, KEY)
    for person in range(6):
        own, total = [row[person] for row in counts], sum(row[person] for row in counts)
        quotas = [int(group.quotas[person]) for group in shared]
        assert sum(quotas) == min(limit, total)
        for quota, count in zip(quotas, own, strict=True):
            assert abs(quota - count * min(limit / total, 1)) < 1
            assert quota <= count


@pytest.mark.parametrize("side_by_side", [False, True])
def test_samples_hold_each_person_as_often_as_a_plain_loop(side_by_side: bool) -> None:
    counts = [5, 1, 9, 3, 20]
    [persons] = limited([PersonWindows.of(index(list(range(5)), counts))], 4, KEY)
    sample = PersonSample(persons, side_by_side=side_by_side)
    owner = [person for person, count in enumerate(counts) for _ in range(count)]
    shown = []
    for epoch in range(200):
        windows = sample.windows(np.arange(4 + 1 + 4 + 3 + 4), subkey(KEY, epoch)).tolist()
        assert len(set(windows)) == len(windows)
        seen = [0] * 5
        for window in windows:
            seen[owner[window]] += 1
        assert seen == [min(count, 4) for count in counts]
        shown.append(windows)
    times = np.bincount(np.concatenate(shown), minlength=38)
    assert (times[[5, 15, 16, 17]] == 200).all()  # of persons with no more than the limit
    assert abs(times[:5] - 160).max() < 5 * np.sqrt(200 * 0.8 * 0.2)
    assert abs(times[18:] - 40).max() < 5 * np.sqrt(200 * 0.2 * 0.8)


def test_neighbours_stay_together() -> None:
    [persons] = limited([PersonWindows.of(index([0, 1], [50, 60]))], 20, KEY)
    windows = PersonSample(persons, side_by_side=True).windows(np.arange(40), KEY).reshape(2, 20)
    for row, n, first in zip(windows, (50, 60), (0, 50), strict=True):
        assert ((np.diff(row - first) % n) == 1).all()


def test_a_share_that_is_no_whole_number_is_rounded_for_every_person_on_its_own() -> None:
    n_persons, people = 400, list(range(400))
    shared = limited([PersonWindows.of(index(people, [n] * n_persons)) for n in (95, 5)], 10, KEY)
    n_rare = int(shared[1].quotas.sum())  # half a window each
    assert set(shared[1].quotas.tolist()) == {0, 1}
    assert abs(n_rare - n_persons / 2) < 5 * np.sqrt(n_persons / 4)


def test_persons_are_sampled_apart() -> None:
    [persons] = limited([PersonWindows.of(index([0, 1], [100, 100]))], 30, KEY)
    for side_by_side in (False, True):
        one, two = PersonSample(persons, side_by_side=side_by_side).windows(np.arange(60), KEY).reshape(2, 30)
        assert set(one.tolist()) != {window - 100 for window in two.tolist()}
