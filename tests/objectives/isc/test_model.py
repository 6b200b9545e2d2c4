"""Inter-subject correlation against numpy, what solves it and what does not."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eegfm.nn.context import Context
from eegfm.objectives.config import IscConfig
from latent_windows import build, given_features, paired

M, D = 12, 5


def isc(**changes: Any) -> Any:
    return build(IscConfig.model_validate({"projection": {"sites": 0, "hidden": 12, "out": 6}, **changes}))


def of_features(values: Tensor, **changes: Any) -> tuple[Tensor, Any]:
    """Given features, compared as they are, and the output."""
    objective = isc(**changes)
    objective.projection = nn.Identity()
    values.requires_grad_()
    given_features(objective, values)
    return values, objective(paired(len(values) // 2, pairing="movie_moment"), Context())


def noise(seed: int, n_windows: int = 2 * M) -> Tensor:
    return torch.randn(n_windows, D, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("decorrelation", [0.0, 0.005, 0.3])
def test_the_loss_is_that_of_correlations_over_moments(decorrelation: float) -> None:
    values, output = of_features(noise(0), decorrelation=decorrelation)
    first, second = np.split(values.detach().double().numpy(), 2)
    found = np.corrcoef(first.T, second.T)[:D, D:]
    expected = sum(
        (1 - found[d, d]) ** 2 + decorrelation * sum(found[d, e] ** 2 for e in range(D) if e != d) for d in range(D)
    )
    assert output.loss.item() == pytest.approx(expected / D, rel=1e-4)
    assert float(output.logs["baseline_loss"]) == 1
    exchanged, other = of_features(values.detach().roll(M, dims=0), decorrelation=decorrelation)
    assert other.loss.item() == pytest.approx(output.loss.item(), rel=1e-5)
    assert exchanged is not values


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-6])
def test_a_collapse_is_finite_and_does_not_pay(spread: float) -> None:
    """The same of all windows, or nearly; two persons that agree in noise too small to be a feature do not win."""
    moments = noise(1, M).repeat(2, 1)
    values, output = of_features(3.0 + spread * moments)
    assert output.loss.item() == pytest.approx(1, abs=1e-3)
    output.loss.backward()
    assert torch.isfinite(values.grad).all()


def test_what_two_persons_share_wins_and_copies_of_one_feature_do_not() -> None:
    basis = torch.linalg.qr(noise(2, M) - noise(2, M).mean(dim=0))[0]  # features that do not correlate
    *_, shared = of_features(basis.repeat(2, 1), decorrelation=0.1)
    *_, copies = of_features(basis[:, :1].expand(M, D).repeat(2, 1), decorrelation=0.1)
    assert shared.loss.item() < 1e-3
    assert copies.loss.item() == pytest.approx(0.1 * (D - 1), abs=1e-2)


def test_encoder_and_projection_learn_and_the_moments_of_a_movie_are_followed() -> None:
    """Each moment has a rhythm of its own in both persons, who differ in all else."""
    torch.manual_seed(0)
    objective, batch = isc(), paired(8, pairing="movie_moment")
    seconds = torch.arange(batch["signal"].shape[2]) / 100.0
    rhythm = torch.sin(2 * torch.pi * torch.linspace(4, 20, 8).repeat(2).view(-1, 1, 1) * seconds)
    batch["signal"] = batch["signal"] + 40 * rhythm
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for step in range(30):
        output = objective(batch, Context(step=step))
        optimizer.zero_grad()
        output.loss.backward()
        if not step:
            assert not [name for name, p in objective.named_parameters() if p.grad is None or not p.grad.any()]
        optimizer.step()
        losses.append(float(output.loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
