"""Likeness of queries against a loop in float64."""

import pytest
import torch

from eegfm.losses.queries import query_likeness


def test_it_is_the_mean_squared_overlap_of_two_queries() -> None:
    attention = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).softmax(dim=-1)
    rows = attention.double().tolist()
    overlaps = [
        sum(a * b for a, b in zip(each[i], each[j], strict=True)) ** 2
        for each in rows
        for i in range(3)
        for j in range(3)
        if i != j
    ]
    assert float(query_likeness(attention)) == pytest.approx(sum(overlaps) / len(overlaps), rel=1e-5)


def test_queries_that_look_at_different_keys_cost_nothing_and_equal_ones_most() -> None:
    apart = torch.eye(3).expand(2, -1, -1)
    together = torch.tensor([1.0, 0, 0]).expand(2, 3, -1)
    assert float(query_likeness(apart)) == 0
    assert float(query_likeness(together)) == 1


def test_one_query_has_no_pair() -> None:
    assert float(query_likeness(torch.ones(2, 1, 4) / 4)) == 0
