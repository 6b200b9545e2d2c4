"""Terms against collapse."""

import torch

from eegfm.losses.spread import covariance_loss, sketched_gaussian_loss, variance_loss
from eegfm.nn.context import DIRECTIONS, Context
from eegfm.objectives.latent.config import NoRegularizationConfig, SigregConfig, VicregConfig
from eegfm.objectives.latent.spread import regularization, some_of


def test_terms_are_weighed() -> None:
    vectors = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
    total, terms = regularization(VicregConfig(variance_weight=3, covariance_weight=0.5), vectors, Context(), "c")
    assert torch.equal(total, 3 * variance_loss(vectors) + 0.5 * covariance_loss(vectors))
    assert torch.equal(terms["covariance"], covariance_loss(vectors))
    total, terms = regularization(SigregConfig(weight=2, n_directions=7), vectors, Context(step=3, n_steps=5), "c")
    directions = torch.randn(4, 7, generator=Context(step=3, n_steps=5).generator(DIRECTIONS, "c"))
    assert torch.equal(total, 2 * sketched_gaussian_loss(vectors, directions))
    assert torch.equal(terms["sigreg"], total / 2)
    total, terms = regularization(NoRegularizationConfig(), vectors, Context(), "c")
    assert float(total) == 0
    assert not terms


def test_directions_are_new_in_each_step() -> None:
    vectors, config = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0)), SigregConfig()
    first, second = (regularization(config, vectors, Context(step=k, n_steps=2), "c")[0] for k in range(2))
    assert float(first) != float(second)


def test_a_collapse_costs_more() -> None:
    healthy = torch.randn(8, 16, 6, generator=torch.Generator().manual_seed(0))
    for config in (VicregConfig(), SigregConfig()):
        of_healthy, of_constant = (
            float(regularization(config, vectors, Context(), "c")[0]) for vectors in (healthy, 0 * healthy + 1)
        )
        assert of_constant > 5 * of_healthy


def test_some_of_a_list_are_there_and_evenly_spaced() -> None:
    index = torch.arange(10, 30).expand(3, -1)
    assert some_of(index, None, 4).tolist() == [[10, 15, 20, 25]] * 3
    assert torch.equal(some_of(index, None, 40), index)
    present = torch.zeros(3, 20, dtype=torch.bool)
    present[0, [3, 7, 9, 12, 13, 17, 18, 19]] = True
    present[1, [5, 6]] = True
    found = some_of(index, present, 4)
    assert found[0].tolist() == [13, 19, 23, 28]
    assert found[1].tolist() == [15, 15, 16, 16]
    assert found.shape == (3, 4)
