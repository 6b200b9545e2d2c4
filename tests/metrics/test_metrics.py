"""Promises of every measure: nothing waits for the device, no gradient, one number."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from contracts.test_waiting import META, Waits
from eegfm.metrics.groups import between_share
from eegfm.metrics.moments import movie_correlation, retrieval_hits
from eegfm.metrics.spread import alignment, effective_rank, mean_sd, uniformity

GROUP = torch.arange(8) % 3
MEASURES: dict[str, Callable[..., Tensor]] = {
    "effective_rank": lambda z, to: effective_rank(z),
    "mean_sd": lambda z, to: mean_sd(z),
    "alignment": lambda z, to: alignment(z[:4], z[4:]),
    "uniformity": lambda z, to: uniformity(z),
    "between_share": lambda z, to: between_share(z, to(GROUP)),
    "between_share-corrected": lambda z, to: between_share(z, to(GROUP), corrected=True),
    "movie_correlation": lambda z, to: movie_correlation(z[:4], z[4:]),
    "retrieval": lambda z, to: retrieval_hits(
        z, z.flip(0), 3, allowed=to(GROUP[:, None] != GROUP[None, :])
    ).found.mean(),
}


@pytest.fixture(params=MEASURES)
def measure(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    return MEASURES[request.param]


def test_nothing_waits_for_the_device(measure: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as a device without values shows: CUDA's singular values do wait, which this device does not have."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    features = torch.zeros(8, 5, device=META, requires_grad=True)
    with Waits() as waits:
        found = measure(features, lambda values: torch.empty_like(values, device=META))
    assert waits.calls == []
    assert found.shape == ()


def test_it_is_one_number_without_gradient(measure: Callable[..., Tensor]) -> None:
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = measure(features, lambda values: values)
    assert found.shape == ()
    assert not found.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(measure(features, lambda values: values), found)
    assert measure(features.bfloat16(), lambda values: values).dtype == torch.float32
