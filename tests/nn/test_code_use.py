"""How evenly codes are used."""

import pytest
import torch
from scipy.stats import entropy
from torch import Tensor

from eegfm.nn.code_use import perplexity, used_ratio

UNEVEN = torch.tensor([5.0, 0.0, 3.0, 2.0])


@pytest.mark.parametrize(
    ("counts", "ratio"),
    [(UNEVEN, 3 / 4), (torch.tensor([2.0, 0, 0, 0]), 1 / 2), (torch.ones(4), 1.0), (torch.zeros(4), 0.0)],
    ids=["uneven", "fewer tokens than codes", "even", "none"],
)
def test_codes_that_came_are_counted_against_those_that_could_have(counts: Tensor, ratio: float) -> None:
    assert float(used_ratio(counts)) == pytest.approx(ratio)
    expected = torch.e ** entropy(counts) if counts.any() else 0.0
    assert float(perplexity(counts)) == pytest.approx(expected)
