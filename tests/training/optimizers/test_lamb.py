"""LAMB against a loop in double precision of algorithm 2 of arXiv 1904.00962, and the number of its calls."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from eegfm.training.optimizers.config import LambConfig
from eegfm.training.optimizers.lamb import trust_ratios
from small_objective import DECAYING, SmallObjective, driven

FREE: dict[str, Any] = {"learning_rate": 0.05, "betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.2}


def followed(config: LambConfig, x: NDArray[Any], given: list[NDArray[Any]], *, decays: bool) -> list[NDArray[Any]]:
    """Weights after each step, element by element where the paper says so."""
    beta1, beta2 = config.betas
    m, v, found = np.zeros_like(x), np.zeros_like(x), []
    for t, gradient in enumerate(given, start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        m_hat, v_hat = (m / (1 - beta1**t), v / (1 - beta2**t)) if config.bias_correction else (m, v)
        update = m_hat / (np.sqrt(v_hat) + config.eps) + (config.weight_decay if decays else 0.0) * x
        of_x, of_update = np.sqrt((x**2).sum()), np.sqrt((update**2).sum())
        ratio = of_x / of_update if of_x and of_update and (decays or config.adapt_all) else 1.0
        if config.trust_clip is not None and (decays or config.adapt_all):
            ratio = min(ratio, config.trust_clip)
        x = x - config.learning_rate * ratio * update
        found.append(x)
    return found


@pytest.mark.parametrize(
    "choices", [{}, {"trust_clip": 0.4}, {"bias_correction": False}, {"adapt_all": True, "weight_decay": 0.0}], ids=str
)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-11), (torch.float32, 2e-5)], ids=str)
def test_it_follows_the_paper(choices: dict[str, Any], dtype: torch.dtype, rtol: float) -> None:
    config = LambConfig.model_validate({**FREE, **choices})
    objective = SmallObjective().to(dtype)
    with torch.no_grad():
        objective.head.bias.zero_()
        objective.backbone.encoder.layers[0].weight.zero_()
    gradients, weights = driven(objective, config.build(objective), 8)
    for name, given in gradients.items():
        expected = followed(config, weights[name][0], given, decays=name in DECAYING)
        for step, x in enumerate(expected):
            np.testing.assert_allclose(weights[name][step + 1], x, rtol=rtol, atol=rtol, err_msg=name)


def test_a_length_of_zero_has_ratio_one() -> None:
    ones, zeros = torch.ones(4), torch.zeros(4)
    assert trust_ratios([ones, zeros, 6 * ones, ones], [zeros, ones, ones, 2 * ones], None).tolist() == [1, 1, 6, 0.5]
    assert trust_ratios([ones, zeros, 6 * ones], [zeros, ones, ones], 2.0).tolist() == [1, 1, 2]


def test_calls_grow_with_the_groups_and_not_with_the_weights() -> None:
    """The ratios of lengths go out one by one, inside one call."""
    counts = []
    for n_more in (0, 20):
        objective = SmallObjective()
        objective.more = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(n_more))
        optimizer = LambConfig(**FREE).build(objective)
        for p in objective.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step()
        with Calls() as calls:
            optimizer.step()
        counts.append(calls.counts)
    assert counts[0] == counts[1]
    assert counts[0]["_fused_adam_"] == len(optimizer.param_groups)


class Calls(TorchDispatchMode):
    """Counts the calls of each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ != "view":  # which computes nothing
            self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))
