"""From pooled features to the space where windows are compared, against float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eegfm.objectives.pairs.config import ProjectionConfig
from eegfm.objectives.pairs.projection import Projection


def projection(norm: Any = "layer") -> Projection:
    torch.manual_seed(0)
    return Projection(ProjectionConfig(hidden=12, out=6, norm=norm), 5)


def pooled(n_windows: int = 7) -> Tensor:
    return 3 + 0.01 * torch.randn(n_windows, 5, generator=torch.Generator().manual_seed(0))


def standardised(values: np.ndarray[Any, Any], axis: int) -> Any:
    spread = np.sqrt(values.var(axis=axis, keepdims=True) + 1e-5)
    return (values - values.mean(axis=axis, keepdims=True)) / spread


@pytest.mark.parametrize("norm", ["layer", "batch", "none"])
@pytest.mark.parametrize("is_training", [True, False])
def test_a_hidden_layer_and_a_linear_map_of_standardised_features(norm: Any, is_training: bool) -> None:
    module = projection(norm).train(is_training)
    weights = {name: value.double().numpy() for name, value in module.state_dict().items()}
    x = standardised(pooled().double().numpy(), 0)
    hidden = x @ weights["network.0.weight"].T + weights["network.0.bias"]
    if norm == "layer":
        hidden = standardised(hidden, 1)
    elif norm == "batch" and is_training:
        hidden = standardised(hidden, 0)
    elif norm == "batch":  # nothing was remembered yet
        hidden = hidden / np.sqrt(1 + 1e-5)
    erf = torch.erf(torch.from_numpy(hidden) / 2**0.5).numpy()
    out = hidden * (1 + erf) / 2 @ weights["network.3.weight"].T + weights["network.3.bias"]
    expected = out + x @ weights["shortcut.weight"].T
    np.testing.assert_allclose(module(pooled()).detach().numpy(), expected, atol=2e-4)


def test_windows_that_point_the_same_way_are_told_apart() -> None:
    """Features of a fresh encoder: nearly the same vector for all windows."""
    unit = torch.nn.functional.normalize(projection()(pooled(64)), dim=-1)
    raw = torch.nn.functional.normalize(pooled(64), dim=-1)
    assert (raw @ raw.T).min() > 0.999
    assert (unit @ unit.T).mean() < 0.5
