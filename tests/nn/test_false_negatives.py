"""The mask of allowed negatives, against a plain loop."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eegfm.batch import Pairs
from eegfm.nn.false_negatives import allowed_negatives, by_class, by_partner, sharing_samples

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


@settings(deadline=None)
@given(WINDOWS, st.integers(0, 4), st.booleans(), st.data())
def test_classes_against_a_plain_loop(
    half: list[tuple[int, int, int]], reach: int, has_blocks: bool, data: st.DataObject
) -> None:
    """Positives and negatives by class: of one block, never of shared samples but for the partner."""
    group, place, block = torch.tensor(half + half[::-1], dtype=torch.int64).reshape(-1, 3).T
    n, every = len(half), st.lists(st.integers(-1, 2), min_size=2 * len(half), max_size=2 * len(half))
    labels, rows = (
        torch.tensor(data.draw(every), dtype=torch.int64),
        5 * torch.tensor(data.draw(every), dtype=torch.int64),
    )
    pairs = Pairs(group, place, reach, block if has_blocks else None)
    if data.draw(st.booleans()):
        found, rows = by_class(pairs, labels, None), 6 * torch.arange(2 * n)
    else:
        found = by_class(pairs, labels, sharing_samples(rows, 6))
    allowed = allowed_negatives(pairs)
    for i in range(2 * n):
        for j in range(2 * n):
            is_partner = i != j and i % n == j % n
            shares = abs(int(rows[i]) - int(rows[j])) < 6
            known, same = labels[i] >= 0 and labels[j] >= 0, labels[i] == labels[j]
            inside = not has_blocks or block[i] == block[j]
            assert found.positives[i, j] == (known and same and (is_partner or (inside and not shares)))
            assert found.negatives[i, j] == (known and not same and not shares and allowed[i, j])
            assert by_partner(pairs).positives[i, j] == is_partner
