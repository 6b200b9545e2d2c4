"""The mask of allowed negatives, against a plain loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.batch import Pairs
from eegfm.nn.false_negatives import allowed_negatives

WINDOWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 2)), min_size=0, max_size=8)


@settings(deadline=None)
@given(WINDOWS, st.integers(0, 4), st.booleans())
def test_the_mask_against_a_plain_loop(half: list[tuple[int, int, int]], reach: int, has_blocks: bool) -> None:
    group, place, block = torch.tensor(half + half[::-1], dtype=torch.int64).reshape(-1, 3).T
    n = len(half)
    expected = torch.zeros(2 * n, 2 * n, dtype=torch.bool)
    for i in range(2 * n):
        for j in range(2 * n):
            alike = group[i] == group[j] and abs(int(place[i]) - int(place[j])) <= reach
            outside = has_blocks and block[i] != block[j]
            expected[i, j] = not alike and not outside and i % n != j % n
    assert torch.equal(allowed_negatives(Pairs(group, place, reach, block if has_blocks else None)), expected)
