"""Moving statistics equal those of pandas, which braindecode takes, and stay precise."""

import numpy as np
import pandas as pd
import pytest
import torch

from contracts.encoder_cases import MONTAGES, noise, spec_of
from eegfm.batch import SignalSpec
from eegfm.errors import ConfigError
from eegfm.normalizations.config import ExponentialMovingConfig
from eegfm.normalizations.exponential_moving import ExponentialMoving, moving_mean

MASK = torch.ones(1, 2, dtype=torch.bool)


@pytest.mark.parametrize("n_samples", [1, 2, 31, 32, 33, 1000])
@pytest.mark.parametrize("decay", [0.5, 0.99, 0.9999])
def test_means_equal_those_of_pandas(n_samples: int, decay: float) -> None:
    x = noise((2, n_samples), 0).double()
    expected = pd.DataFrame(x.numpy().T).ewm(alpha=1 - decay).mean().to_numpy().T
    np.testing.assert_allclose(moving_mean(x, decay).numpy(), expected, atol=1e-10)


def test_it_is_what_braindecode_computes() -> None:
    """``exponential_moving_standardize`` of braindecode 1.8 with ``factor_new`` 0.001 and ``eps`` 1.0, in its words."""
    signal_uv = 20 * noise((1, 2, 1500), 1).double().cumsum(-1)
    frame = pd.DataFrame(signal_uv[0].numpy().T)
    demeaned = frame - frame.ewm(alpha=0.001).mean()
    square_ewmed = (demeaned * demeaned).ewm(alpha=0.001).mean()
    expected = (demeaned / np.maximum(1.0, np.sqrt(square_ewmed))).to_numpy().T
    spec = SignalSpec(250.0, {"m": MONTAGES[19]}, {"m": 1500})
    normalization = ExponentialMoving(ExponentialMovingConfig(time_constant_s=4.0, clip=None), spec)
    np.testing.assert_allclose(normalization.normalized(signal_uv, MASK)[0].numpy(), expected, atol=1e-9)


def test_an_offset_costs_no_digits() -> None:
    signal_uv = 5 * noise((1, 2, 2000), 2)
    normalization = ExponentialMoving(ExponentialMovingConfig(), spec_of([MONTAGES[19]], 4))
    found, moved = (normalization.normalized(signal_uv + offset_uv, MASK) for offset_uv in (0.0, 4096.0))
    torch.testing.assert_close(moved, found, atol=1e-3, rtol=1e-3)


def test_a_time_constant_below_one_sample_is_refused() -> None:
    spec = spec_of([MONTAGES[19]], 4)
    with pytest.raises(ConfigError, match=r"time_constant_s 0\.004 is not above one sample at 200 Hz \(0\.005 s\)"):
        ExponentialMoving(ExponentialMovingConfig(time_constant_s=0.004), spec)
