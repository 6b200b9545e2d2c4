"""The mask of false negatives, against a plain loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.batch import Pairs
from eegfm.nn.false_negatives import false_negative_mask


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=0, max_size=8), st.integers(0, 4))
def test_the_mask_against_a_plain_loop(half: list[tuple[int, int]], reach: int) -> None:
    group, place = torch.tensor(half + half[::-1], dtype=torch.int64).reshape(-1, 2).T
    n = len(half)
    expected = torch.zeros(2 * n, 2 * n, dtype=torch.bool)
    for i in range(2 * n):
        for j in range(2 * n):
            near = abs(int(place[i]) - int(place[j])) <= reach
            expected[i, j] = group[i] == group[j] and near and i % n != j % n
    assert torch.equal(false_negative_mask(Pairs(group, place, reach)), expected)
