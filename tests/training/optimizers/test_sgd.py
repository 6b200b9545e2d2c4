"""SGD against a loop in double precision."""

import numpy as np
import pytest

from eegfm.training.optimizers.config import SgdConfig
from small_objective import DECAYING, SmallObjective, driven


@pytest.mark.parametrize(
    "choices", [{"momentum": 0.0}, {"momentum": 0.8}, {"momentum": 0.8, "nesterov": True}], ids=str
)
def test_it_follows_its_formula(choices: dict[str, float]) -> None:
    config = SgdConfig.model_validate({"learning_rate": 0.1, "weight_decay": 0.2, **choices})
    objective = SmallObjective().double()
    gradients, weights = driven(objective, config.build(objective), 6)
    for name, given in gradients.items():
        x, running = weights[name][0], np.zeros_like(weights[name][0])
        for step, gradient in enumerate(given):
            pulled = gradient + (0.2 * x if name in DECAYING else 0.0)
            running = config.momentum * running + pulled
            x = x - 0.1 * (pulled + config.momentum * running if config.nesterov else running)
            np.testing.assert_allclose(weights[name][step + 1], x, rtol=1e-12, atol=1e-14)
