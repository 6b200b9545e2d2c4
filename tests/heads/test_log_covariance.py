"""The covariance of tokens and its logarithm, against scipy window by window."""

import numpy as np
import pytest
import scipy.linalg
import torch

from eegfm.errors import ConfigError
from eegfm.heads.base import HeadSpec, TokenGrid, build_head
from eegfm.heads.config import LogCovarianceConfig
from eegfm.heads.log_covariance import LogCovarianceHead, log_covariance, matrix_log
from eegfm.targets import TargetSpec

TARGET = TargetSpec.of_classes("ab")


def tokens(n: int = 3, n_tokens: int = 11, width: int = 4, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    mixed = torch.randn(width, width, generator=draw, dtype=torch.float64)
    return (3 + torch.randn(n, n_tokens, width, generator=draw, dtype=torch.float64) @ mixed).to(dtype)


def test_it_equals_scipys_window_by_window() -> None:
    x, mask = tokens(), torch.ones(3, 11, dtype=torch.bool)
    mask[0, 4:6], mask[2, 0] = False, False
    found = log_covariance(x, mask, 0.2)
    assert found.shape == (3, 10)
    for window, there, features in zip(x.numpy(), mask.numpy(), found.numpy(), strict=True):
        covariance = np.cov(window[there], rowvar=False, bias=True)
        shrunk = 0.8 * covariance + (0.2 * np.trace(covariance) / 4 + 1e-6) * np.eye(4)
        logarithm = scipy.linalg.logm(shrunk)
        expected = [logarithm[j, k] * (1.0 if j == k else np.sqrt(2)) for j in range(4) for k in range(j, 4)]
        np.testing.assert_allclose(features, expected, atol=1e-9)
        assert np.linalg.norm(features) == pytest.approx(np.linalg.norm(logarithm))


def test_the_head_is_a_linear_map_of_it() -> None:
    head = build_head(LogCovarianceConfig(width=3, shrinkage=0.3), HeadSpec(4, 1, 11, TARGET), seed=0).double()
    assert isinstance(head, LogCovarianceHead)
    x, mask = tokens(), torch.ones(3, 11, dtype=torch.bool)
    features = log_covariance(x @ head.projection.weight.T, mask, 0.3)
    torch.testing.assert_close(head(TokenGrid(x.unsqueeze(1), mask[:, :1])), head.output(features))
    narrow = build_head(LogCovarianceConfig(width=32), HeadSpec(4, 1, 11, TARGET), seed=0)
    assert sum(p.numel() for p in narrow.parameters()) == (10 + 1) * 2  # nothing to make narrower


def test_the_gradient_is_right_also_for_equal_eigenvalues() -> None:
    root = torch.randn(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    apart = root @ root.transpose(1, 2) + torch.eye(4, dtype=torch.float64)
    near = torch.diag_embed(torch.tensor([[2.0, 2.0, 2.0 + 1e-9, 2.1], [3.0] * 4], dtype=torch.float64))

    def of_symmetric(x: torch.Tensor) -> torch.Tensor:
        return matrix_log((x + x.transpose(-1, -2)) / 2)

    for matrices in (apart, near, 1e3 * apart):
        assert torch.autograd.gradcheck(of_symmetric, matrices.clone().requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_tokens_that_are_all_alike_have_finite_gradients(value: float) -> None:
    x = torch.full((2, 5, 4), value, requires_grad=True)
    features = log_covariance(x, torch.ones(2, 5, dtype=torch.bool), 0.1)
    (gradient,) = torch.autograd.grad(features.square().sum(), x)
    assert features.isfinite().all()
    assert gradient.isfinite().all()


def test_few_tokens_of_any_size_stay_finite() -> None:
    """Rounding makes eigenvalues below zero where two tokens span eight dimensions."""
    for size in (1e-6, 1.0, 1e4):
        x = (size * tokens(n_tokens=2, width=8, dtype=torch.float32)).requires_grad_()
        features = log_covariance(x, torch.ones(3, 2, dtype=torch.bool), 1e-9)
        (gradient,) = torch.autograd.grad(features.sum(), x)
        assert features.isfinite().all()
        assert gradient.isfinite().all()


def test_it_computes_in_float32_under_autocast() -> None:
    x, mask = tokens(dtype=torch.float32), torch.ones(3, 11, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = log_covariance(x, mask, 0.1)
    assert torch.equal(found, log_covariance(x, mask, 0.1))
    assert log_covariance(x.bfloat16(), mask, 0.1).dtype == torch.float32


def test_one_token_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"head\.name log_covariance needs several tokens.*choose head linear"):
        build_head(LogCovarianceConfig(), HeadSpec(4, 1, 1, TARGET), seed=0)
