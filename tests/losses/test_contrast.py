"""Contrastive losses against loops in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.batch import Pairs
from eegfm.losses.contrast import info_nce, supervised_contrast
from eegfm.nn.false_negatives import allowed_negatives


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def looped(vectors: Tensor, temperature: float, allowed: Tensor | None = None) -> tuple[float, int]:
    """Loss, and anchors without negatives."""
    z, half = vectors.double().numpy(), len(vectors) // 2
    losses = []
    for i in range(len(z)):
        partner = (i + half) % len(z)
        found = [
            cosine(z[i], z[j])
            for j in range(len(z))
            if j not in (i, partner) and (allowed is None or bool(allowed[i, j]))
        ]
        if found:
            positive = math.exp(cosine(z[i], z[partner]) / temperature)
            losses.append(-math.log(positive / (positive + sum(math.exp(s / temperature) for s in found))))
    return (sum(losses) / len(losses) if losses else 0.0), len(z) - len(losses)


MASKS = {
    "all": None,
    "half": noise(12, 12, seed=3) > 0,
    "few": (noise(12, 12, seed=4) > 1) & (torch.arange(12) % 5 > 0)[:, None],
    "own": torch.eye(12, dtype=torch.bool) | torch.eye(12, dtype=torch.bool).roll(6, 0),
    "blocks": torch.arange(12)[:, None] % 3 == torch.arange(12)[None, :] % 3,
}


@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("mask", MASKS)
def test_info_nce_equals_a_loop(mask: str, temperature: float) -> None:
    vectors = 7 * noise(12, 5)
    found = info_nce(vectors, temperature, allowed=MASKS[mask])
    loss, n_without = looped(vectors, temperature, MASKS[mask])
    assert float(found.loss) == pytest.approx(loss, rel=1e-5, abs=1e-7)
    assert (int(found.n_anchors), int(found.n_without)) == (12 - n_without, n_without)
    assert (n_without > 0) == (mask in ("few", "own"))
    exact = info_nce(vectors.double(), torch.tensor(temperature), allowed=MASKS[mask])
    assert float(exact.loss) == pytest.approx(loss, rel=1e-6, abs=1e-9)


def test_its_analytic_values() -> None:
    """All alike: a guess among all; orthogonal pairs: what the softmax of 1/t against zeros says."""
    assert float(info_nce(torch.ones(8, 3), 0.07).loss) == pytest.approx(math.log(7), rel=1e-5)
    pairs = torch.eye(4).repeat(2, 1)
    assert float(info_nce(pairs, 0.5).loss) == pytest.approx(math.log(1 + 6 * math.exp(-2)), rel=1e-5)


def test_pairs_can_be_exchanged() -> None:
    vectors, allowed = noise(12, 5), MASKS["half"]
    swapped = info_nce(vectors.roll(6, 0), 0.1, allowed=allowed.roll((6, 6), (0, 1)))
    torch.testing.assert_close(swapped.loss, info_nce(vectors, 0.1, allowed=allowed).loss)


@pytest.mark.parametrize("mask", ["all", "half", "few", "own"])
def test_gradients_reach_vectors_and_temperature(mask: str) -> None:
    vectors = noise(12, 5).double().requires_grad_()
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    info_nce(vectors, temperature, allowed=MASKS[mask]).loss.backward()
    assert vectors.grad is not None
    assert temperature.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert bool(vectors.grad.any()) == bool(temperature.grad.any()) == (mask != "own")
    if mask != "own":
        assert torch.autograd.gradcheck(
            lambda v, t: info_nce(v, t, allowed=MASKS[mask]).loss, (vectors, temperature), atol=1e-6
        )


def test_what_is_no_negative_gets_no_push() -> None:
    """A window outside everyone's mask moves only towards its partner."""
    vectors = noise(12, 5).requires_grad_()
    allowed = torch.ones(12, 12, dtype=torch.bool)
    allowed[:, 2] = False
    outside = vectors.detach().clone()
    outside[2] = outside[8] = noise(5, seed=9)
    for anchors in (vectors, outside.requires_grad_()):
        others = allowed.clone()
        others[[2, 8]] = False
        others[:, 8] = False
        info_nce(anchors, 0.1, allowed=others).loss.backward()
        assert anchors.grad is not None
        assert not anchors.grad[[2, 8]].any()
    kept = [k for k in range(12) if k not in (2, 8)]
    torch.testing.assert_close(vectors.grad[kept], outside.grad[kept])


def test_alike_windows_are_no_negatives() -> None:
    """With the mask of false negatives, copies of a moment are not pushed apart: the loss can become zero."""
    group = torch.tensor([0, 0, 1, 1]).repeat(2)
    likeness = Pairs(group, torch.zeros(8, dtype=torch.int64), 0)
    vectors = torch.eye(2)[group]
    masked = info_nce(vectors, 0.05, allowed=allowed_negatives(likeness))
    assert float(masked.loss) < 1e-6
    assert float(info_nce(vectors, 0.05).loss) > 1


@pytest.mark.parametrize("vectors", [torch.zeros(8, 4), torch.full((8, 4), 1e-30), torch.full((8, 4), 1e15)])
def test_degenerate_vectors_are_finite(vectors: Tensor) -> None:
    leaf = vectors.requires_grad_()
    same = torch.arange(8)[:, None] % 2 == torch.arange(8)[None, :] % 2
    (
        info_nce(leaf, 0.07).loss + supervised_contrast(leaf, same ^ torch.eye(8, dtype=torch.bool), ~same, 0.07).loss
    ).backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()


def supervised_loop(
    vectors: Tensor, labels: Tensor, temperature: float, may: Tensor, may_not: Tensor
) -> tuple[float, int]:
    """With the windows that may be positives of each other, and those that may be negatives."""
    z, y = vectors.double().numpy(), labels.tolist()
    losses = []
    for i in range(len(z)):
        known = [a for a in range(len(z)) if a != i and y[i] >= 0 <= y[a]]
        positives = [a for a in known if y[a] == y[i] and bool(may[i, a])]
        negatives = [a for a in known if y[a] != y[i] and bool(may_not[i, a])]
        if not positives or not negatives:
            continue
        total = sum(math.exp(cosine(z[i], z[a]) / temperature) for a in positives + negatives)
        shares = [math.log(math.exp(cosine(z[i], z[p]) / temperature) / total) for p in positives]
        losses.append(-sum(shares) / len(positives))
    return (sum(losses) / len(losses) if losses else 0.0), len(z) - len(losses)


@pytest.mark.parametrize("mask", ["all", "half", "few", "own"])
@pytest.mark.parametrize(
    "labels", [[0, 1] * 6, [0, 0, 1, 2, -1, -1, 0, 1, 1, 3, -1, 0], [-1] * 12, [2] * 12, list(range(12))]
)
def test_supervised_contrast_equals_a_loop(labels: list[int], mask: str) -> None:
    vectors, classes = noise(12, 5).requires_grad_(), torch.tensor(labels)
    allowed = MASKS[mask]
    may_not = torch.ones(12, 12, dtype=torch.bool) if allowed is None else allowed
    may = may_not.roll(1, 0)
    known = (classes >= 0)[:, None] & (classes >= 0)[None, :] & ~torch.eye(12, dtype=torch.bool)
    same = classes[:, None] == classes[None, :]
    found = supervised_contrast(vectors, known & same & may, known & ~same & may_not, 0.2)
    loss, n_without = supervised_loop(vectors.detach(), classes, 0.2, may, may_not)
    assert float(found.loss.detach()) == pytest.approx(loss, rel=1e-5, abs=1e-7)
    assert (int(found.n_anchors), int(found.n_without)) == (12 - n_without, n_without)
    found.loss.backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert bool(vectors.grad.any()) == (n_without < 12)
    assert mask != "all" or not vectors.grad[classes < 0].any(), "unknown classes take no part"


def test_a_batch_that_is_no_pairs_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="no pairs"):
        info_nce(noise(5, 3), 0.1)
    with pytest.raises(AssertionError, match="mask of shape"):
        info_nce(noise(6, 3), 0.1, allowed=torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(AssertionError, match="mask of shape"):
        supervised_contrast(noise(6, 3), *torch.ones(2, 3, 3, dtype=torch.bool), 0.1)


def test_autocast_changes_nothing() -> None:
    vectors = noise(12, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(info_nce(vectors, 0.1).loss, info_nce(vectors, 0.1).loss.float())
        inside = info_nce(vectors, 0.1).loss
    assert torch.equal(inside, info_nce(vectors, 0.1).loss)
    assert info_nce(vectors.bfloat16(), 0.1).loss.dtype == torch.float32
