"""Statistics of a training's first steps."""

from typing import Any

import pytest
import torch
from torch import Tensor

from eegfm.jobs.train import pretraining
from eegfm.training.config import PretrainParams
from noise_corpora import noise_mixture, noise_splits, noise_stores

STORES: Any = noise_stores()
MIXTURE = noise_mixture(STORES)
SPLITS = noise_splits(MIXTURE)


def buffers(n_steps: int, minus: str) -> dict[str, Tensor]:
    """Statistics of a run, those too that no state holds."""
    params = PretrainParams.model_validate({
        "encoder": {"name": "patch_transformer", "d_model": 16, "head_size": 8, "n_layers": 1},
        "objective": {"name": "masked", "target": {"name": "log_spectrum", "minus": minus}},
        "batch_size": 10, "n_steps": n_steps, "accelerator": "cpu", "loader": {"verify": "off"},
    })  # fmt: skip
    module, _ = pretraining(params, MIXTURE, SPLITS, STORES)
    return {name: value for name, value in module.objective.named_buffers() if "target" in name}


@pytest.mark.parametrize("minus", ["person", "none"])
def test_a_run_that_goes_on_finds_the_statistics_that_no_state_holds(minus: str) -> None:
    """Means of persons are of as many steps in a short run; what a state holds is estimated from the run's own."""
    short, long = buffers(2, minus), buffers(20, minus)
    assert short.keys() == long.keys()
    assert all(torch.equal(short[name], long[name]) for name in short) is (minus == "person")
