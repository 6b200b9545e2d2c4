"""Losses that keep the vectors of an encoder from collapsing where no teacher does.

Shapes: B windows, M tokens of each, D width.
"""

import torch
from torch import Tensor

from eegfm.losses.spread import covariance_loss, sketched_gaussian_loss, variance_loss
from eegfm.nn.context import DIRECTIONS, Context
from eegfm.nn.device import sent
from eegfm.nn.gather import of_all_ranks
from eegfm.objectives.latent.config import NoRegularizationConfig, SigregConfig, VicregConfig

N_SPREAD = 16
"""Tokens of a window that are looked at: neighbours hardly differ, and the cost grows with the number."""


def regularization(
    config: NoRegularizationConfig | VicregConfig | SigregConfig, vectors: Tensor, context: Context, corpus: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weigh how far vectors are from being spread out.

    Args:
        config: Which terms, and their weights.
        vectors: (b, M, D) of this rank's windows; those of all ranks count together.
        context: Place in the training; directions are drawn from it, the same on every rank.
        corpus: Of the windows.

    Returns:
        () weighted sum, and each term by name, not weighted and detached.
    """
    if isinstance(config, NoRegularizationConfig):
        return vectors.new_zeros(()), {}
    rows = of_all_ranks(vectors, context)
    if isinstance(config, SigregConfig):
        generator = context.generator(DIRECTIONS, corpus)
        directions = sent(torch.randn(rows.shape[-1], config.n_directions, generator=generator), rows.device)
        found = sketched_gaussian_loss(rows, directions)
        return config.weight * found, {"sigreg": found.detach()}
    variance, covariance = variance_loss(rows), covariance_loss(rows)
    total = config.variance_weight * variance + config.covariance_weight * covariance
    return total, {"variance": variance.detach(), "covariance": covariance.detach()}


def some_of(index: Tensor, is_present: Tensor | None, n: int = N_SPREAD) -> Tensor:
    """(B, n) evenly spaced ones of the (B, M) listed tokens of each window, of those that are there. On the CPU.

    Args:
        index: Tokens, ascending.
        is_present: (B, M) bool, False for one that fills a list up; None where none does. A window without any gives
            tokens that are absent.
        n: How many; a window with fewer repeats some, a list with fewer gives as many as it has.
    """
    n_listed = index.shape[1]
    n = min(n, n_listed)
    is_listed = torch.ones_like(index, dtype=torch.bool) if is_present is None else is_present
    first = (~is_listed).to(torch.int8).argsort(dim=1, stable=True)
    n_each = is_listed.sum(dim=1, keepdim=True).clamp_min(1)
    return index.gather(1, first.gather(1, torch.arange(n) * n_each // n))
