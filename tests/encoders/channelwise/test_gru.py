"""Details of the recurrent encoder that the contract does not cover."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from eegfm.encoders.channelwise.gru import BothWays
from eegfm.encoders.config import GruConfig


def test_a_layer_equals_the_equations() -> None:
    """Cho et al. 2014, equations 5 to 8, with the reset gate behind the product as in cuDNN; once each way."""
    torch.manual_seed(0)
    mixer = BothWays(d_model=6)
    x = torch.randn(2, 5, 6)
    weights = {name: value.detach().double().numpy() for name, value in mixer.recurrence.named_parameters()}
    forwards = recur(x.double().numpy(), weights, "")
    backwards = recur(x.flip(1).double().numpy(), weights, "_reverse")[:, ::-1]
    expected = np.concatenate((forwards, backwards), axis=-1)
    np.testing.assert_allclose(mixer(x).detach().numpy(), expected, atol=1e-5)


def recur(x: np.ndarray, weights: dict[str, np.ndarray], direction: str) -> np.ndarray:
    """(S, P, D) to (S, P, H), step by step."""
    w_in, w_state = weights[f"weight_ih_l0{direction}"], weights[f"weight_hh_l0{direction}"]
    b_in, b_state = weights[f"bias_ih_l0{direction}"], weights[f"bias_hh_l0{direction}"]
    state = np.zeros((len(x), w_state.shape[1]))
    out = []
    for step in range(x.shape[1]):
        r_in, z_in, n_in = np.split(x[:, step] @ w_in.T + b_in, 3, axis=-1)
        r_state, z_state, n_state = np.split(state @ w_state.T + b_state, 3, axis=-1)
        reset, update = 1 / (1 + np.exp(-r_in - r_state)), 1 / (1 + np.exp(-z_in - z_state))
        state = (1 - update) * np.tanh(n_in + reset * n_state) + update * state
        out.append(state)
    return np.stack(out, axis=1)


def test_the_width_has_two_halves() -> None:
    with pytest.raises(ValidationError, match="d_model 15 is odd"):
        GruConfig(d_model=15)
