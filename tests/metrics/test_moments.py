"""Measures over moments of movies against numpy and drawn candidates."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.metrics.moments import movie_correlation, retrieval_hits


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_correlation_equals_numpy() -> None:
    first = noise(20, 4) * torch.tensor([1.0, 1e-4, 1e3, 5.0]) + 9
    second = first + 2 * noise(20, 4, seed=1)
    expected = [np.corrcoef(first[:, d].double().numpy(), second[:, d].double().numpy())[0, 1] for d in range(4)]
    assert float(movie_correlation(first, second)) == pytest.approx(sum(expected) / 4, abs=1e-4)
    assert float(movie_correlation(second, first)) == pytest.approx(sum(expected) / 4, abs=1e-4)


def test_constant_features_correlate_with_nothing() -> None:
    good = noise(20, 4)
    assert float(movie_correlation(good, good)) == pytest.approx(1.0)
    assert float(movie_correlation(good, -good)) == pytest.approx(-1.0)
    rounded = 1e4 * noise(1, 4) * (1 + 1e-7 * noise(20, 4, seed=2))
    for constant in (torch.zeros(20, 4), torch.full((20, 4), 0.1), rounded):
        assert float(movie_correlation(constant, constant)) == 0.0
        assert float(movie_correlation(constant, good)) == 0.0
    half = torch.cat([good[:, :2], torch.full((20, 2), 0.1)], dim=1)
    assert float(movie_correlation(half, half)) == pytest.approx(0.5)
    assert float(movie_correlation(good[:1], good[:1])) == 0.0


ALLOWED = noise(8, 8, seed=5) > -0.5


@pytest.mark.parametrize("n_candidates", [2, 3, 5, 8])
@pytest.mark.parametrize("allowed", [None, ALLOWED])
def test_retrieval_is_the_mean_over_all_choices_of_candidates(n_candidates: int, allowed: Tensor | None) -> None:
    queries = noise(8, 5)
    candidates = queries + 1.2 * noise(8, 5, seed=1)
    q, c = ((v.double() / v.double().norm(dim=1, keepdim=True)).numpy() for v in (queries, candidates))
    shares = []
    for i in range(8):
        others = [j for j in range(8) if j != i and (allowed is None or bool(allowed[i, j]))]
        draws = list(itertools.combinations(others, n_candidates - 1))
        if draws:
            shares.append(sum(all(q[i] @ c[i] > q[i] @ c[j] for j in draw) for draw in draws) / len(draws))
    hits = retrieval_hits(queries, candidates, n_candidates, allowed=allowed)
    assert hits.found[hits.counts].tolist() == pytest.approx(shares, rel=1e-5, abs=1e-7)
    assert not hits.found[~hits.counts].any()


def test_retrieval_of_known_features() -> None:
    features = noise(300, 16)
    assert retrieval_hits(features, features, 64).found.all()
    assert float(retrieval_hits(features, noise(300, 16, seed=1), 10).found.mean()) == pytest.approx(0.1, abs=0.03)
    assert not retrieval_hits(torch.ones(300, 16), torch.ones(300, 16), 2).found.any(), "ties are lost"
    few = retrieval_hits(features[:5], features[:5], 64)
    assert not few.found.any()
    assert not few.counts.any()
    assert not retrieval_hits(features.requires_grad_(), features, 4).found.requires_grad
