"""AdamW against a loop in double precision."""

import numpy as np

from eegfm.training.optimizers.config import AdamWConfig
from small_objective import DECAYING, SmallObjective, driven


def test_it_follows_its_formula() -> None:
    """Decay is no part of the gradient."""
    config = AdamWConfig(learning_rate=0.1, betas=(0.8, 0.9), eps=1e-4, weight_decay=0.2)
    objective = SmallObjective().double()
    gradients, weights = driven(objective, config.build(objective), 6)
    for name, given in gradients.items():
        x = weights[name][0]
        m, v = np.zeros_like(x), np.zeros_like(x)
        for t, gradient in enumerate(given, start=1):
            m, v = 0.8 * m + 0.2 * gradient, 0.9 * v + 0.1 * gradient**2
            x = x * (1 - 0.1 * (0.2 if name in DECAYING else 0.0))
            x = x - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-4)
            np.testing.assert_allclose(weights[name][t], x, rtol=1e-11, atol=1e-13)
