"""Generators follow from their purpose."""

import torch

from eegfm.training.randomness import generator_for


def test_equal_purposes_draw_equal_numbers() -> None:
    purposes = [(0, 1, 0, 0), (0, 1, 0, 1), (0, 1, 1, 0), (0, 2, 0, 0), (1, 1, 0, 0)]
    draws = {p: tuple(torch.rand(4, generator=generator_for(*p)).tolist()) for p in purposes}
    assert len(set(draws.values())) == len(purposes)
    torch.manual_seed(99)
    assert all(tuple(torch.rand(4, generator=generator_for(*p)).tolist()) == d for p, d in draws.items())
