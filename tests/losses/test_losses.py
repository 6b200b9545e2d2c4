"""Promises of every loss: nothing waits for the device, and low precision changes nothing."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from contracts.test_waiting import META, Waits
from eegfm.losses.contrast import info_nce, supervised_contrast
from eegfm.losses.hierarchical import hierarchical_contrast
from eegfm.losses.inter_subject import inter_subject_correlation
from eegfm.losses.labels import classification_loss, regression_loss
from eegfm.losses.pointwise import negative_cosine, pointwise_loss
from eegfm.losses.queries import query_likeness
from eegfm.losses.spread import covariance_loss, sketched_gaussian_loss, variance_loss


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


ALLOWED, CLASSES, MASK = noise(8, 8, seed=1) > 0, torch.arange(8) % 3 - 1, noise(8, 2, seed=4) > 0
OTHER = noise(8, 2, 6, seed=2)
LOSSES: dict[str, Callable[..., Tensor]] = {
    "info_nce": lambda z, to: info_nce(z[:, 0], to(torch.tensor(0.1)), allowed=to(ALLOWED)).loss,
    "supervised": lambda z, to: supervised_contrast(z[:, 0], to(ALLOWED), to(~ALLOWED), 0.1).loss,
    "hierarchical": lambda z, to: hierarchical_contrast(z, to(OTHER)),
    "inter_subject": lambda z, to: inter_subject_correlation(z[:4, 0], z[4:, 0]),
    "regression": lambda z, to: regression_loss(z[:, 0], to(OTHER[:, 0])).loss,
    "classification": lambda z, to: classification_loss(z[:, 0], to(CLASSES)).loss,
    "pointwise": lambda z, to: pointwise_loss("smooth_l1", z, to(OTHER), to(MASK)),
    "cosine": lambda z, to: negative_cosine(z, to(OTHER), to(MASK)),
    "queries": lambda z, to: query_likeness(z),
    "variance": lambda z, to: variance_loss(z, 3.0),
    "covariance": lambda z, to: covariance_loss(z),
    "sketched": lambda z, to: sketched_gaussian_loss(z, to(noise(6, 5, seed=3))),
}


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return LOSSES[request.param]


def test_nothing_waits_for_the_device(loss: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    leaf = noise(8, 2, 6).to(META).requires_grad_()
    with Waits() as waits:
        loss(leaf, lambda values: torch.empty_like(values, device=META)).backward()
    assert waits.calls == []


def test_it_is_one_number_of_float32_also_in_bfloat16(loss: Callable[..., Tensor]) -> None:
    leaf = noise(8, 2, 6).requires_grad_()
    expected = loss(leaf, lambda values: values)
    expected.backward()
    assert expected.shape == ()
    assert leaf.grad is not None
    assert leaf.grad.any()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(leaf, lambda values: values), expected)
    low = loss(leaf.bfloat16(), lambda values: values)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, loss(leaf.bfloat16().float(), lambda values: values))
