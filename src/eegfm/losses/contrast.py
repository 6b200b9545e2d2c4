"""Contrastive losses over the windows of a batch.

Shapes: B windows, D width.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from eegfm.nn.full_precision import full_precision
from eegfm.nn.unit_length import unit_length


class Contrast(NamedTuple):
    """Result of a contrastive loss.

    Args:
        loss: Mean over the anchors that count; zero, with a gradient of zero, where none does.
        n_anchors: Number of anchors that count.
        n_without: Number of anchors that contribute nothing, because nothing may be their negative (or, with classes,
            nothing is their positive).
    """

    loss: Tensor
    n_anchors: Tensor
    n_without: Tensor


@full_precision
def info_nce(embeddings: Tensor, temperature: float | Tensor, *, allowed: Tensor | None = None) -> Contrast:
    """Tell the partner of each window from its negatives, by cosine similarity.

    InfoNCE (van den Oord et al. 2018, arXiv 1807.03748, eq. 4) in the symmetric form of SimCLR (Chen et al. 2020, arXiv
    2002.05709, eq. 1): each of the B windows is an anchor once.

    Args:
        embeddings: (B, D); windows i and i + B/2 are a pair, anchors first. Need not be of length 1.
        temperature: Divides similarities.
        allowed: (B, B) bool, True in row i where window j may be a negative of anchor i; all by default. The window
            itself and its partner are never negatives, whatever it says.
    """
    n_windows = len(embeddings)
    assert n_windows % 2 == 0, f"{n_windows} windows are no pairs"
    assert allowed is None or allowed.shape == (n_windows, n_windows), f"mask of shape {tuple(allowed.shape)}"
    vectors = unit_length(embeddings)
    place = torch.arange(n_windows, device=vectors.device)
    is_pair = place[:, None] % max(n_windows // 2, 1) == place[None, :] % max(n_windows // 2, 1)
    is_negative = ~is_pair if allowed is None else allowed & ~is_pair
    similarity = vectors @ vectors.T
    positive = (vectors * vectors.roll(n_windows // 2, dims=0)).sum(dim=-1, keepdim=True)
    choices = [positive / temperature, (similarity / temperature).masked_fill(~is_negative, -torch.inf)]
    # Without negatives, the positive is the only choice: its log probability is 0.
    return _mean_over(-log_softmax(torch.cat(choices, dim=1), dim=1)[:, 0], is_negative.any(dim=1))


@full_precision
def supervised_contrast(
    embeddings: Tensor, positives: Tensor, negatives: Tensor, temperature: float | Tensor
) -> Contrast:
    """Tell the windows of an anchor's class from those of other classes, by cosine similarity.

    SupCon with the sum outside the logarithm (Khosla et al. 2020, arXiv 2004.11362, eq. 2). The mean over anchors takes
    the place of the paper's sum. The denominator counts positives and negatives, and no other window.

    Args:
        embeddings: (B, D); need not be of length 1.
        positives: (B, B) bool, True in row i where window j is a positive of anchor i; the window itself never is.
        negatives: (B, B) bool, the same of negatives; no window is both.
        temperature: Divides similarities.
    """
    n_windows = len(embeddings)
    for mask in (positives, negatives):
        assert mask.shape == (n_windows, n_windows), f"mask of shape {tuple(mask.shape)}"
    vectors = unit_length(embeddings)
    counts = positives.any(dim=1) & negatives.any(dim=1)
    similarity = vectors @ vectors.T / temperature
    # Rows that do not count keep their numbers, so that no row of the softmax is empty.
    is_left_out = ~(positives | negatives) & counts[:, None]
    log_share = log_softmax(similarity.masked_fill(is_left_out, -torch.inf), dim=1)
    kept = log_share.masked_fill(~positives, 0.0).sum(dim=1) / positives.sum(dim=1).clamp_min(1)
    return _mean_over(-kept, counts)


def _mean_over(losses: Tensor, counts: Tensor) -> Contrast:
    n_anchors = counts.sum()
    mean = losses.masked_fill(~counts, 0.0).sum() / n_anchors.clamp_min(1)
    return Contrast(mean, n_anchors, (~counts).sum())
