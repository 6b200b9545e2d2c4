"""Quantiles are real ones."""

import numpy as np
import pytest

from contracts.encoder_cases import noise
from eegfm.normalizations.robust import quantile


@pytest.mark.parametrize("level", [0.0, 0.25, 0.333, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 400])
def test_quantiles_equal_those_of_numpy(level: float, n_samples: int) -> None:
    x = noise((3, n_samples), 0).double()
    found = quantile(x.sort(dim=-1).values, level).squeeze(-1)
    np.testing.assert_allclose(found.numpy(), np.quantile(x.numpy(), level, axis=-1), atol=1e-12)
