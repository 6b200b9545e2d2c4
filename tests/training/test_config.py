"""Parameters of pretraining."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from eegfm.training.config import PretrainParams
from eegfm.training.schedules.config import WarmupCosineConfig


def test_exactly_one_length() -> None:
    with pytest.raises(ValidationError, match="give exactly one"):
        PretrainParams()
    with pytest.raises(ValidationError, match="give exactly one"):
        PretrainParams(n_steps=1, n_epochs=1)
    assert PretrainParams(n_epochs=2).n_steps is None


def test_unknown_keys_and_members_are_refused() -> None:
    with pytest.raises(ValidationError, match="batchsize"):
        PretrainParams.model_validate({"n_steps": 1, "batchsize": 2})
    with pytest.raises(ValidationError, match="patch_transformer"):
        PretrainParams.model_validate({"n_steps": 1, "encoder": {"name": "lunna"}})


def test_options_without_a_name_are_those_of_the_default() -> None:
    params = PretrainParams.model_validate({"n_steps": 9, "schedule": {"warmup_ratio": 0.2}})
    assert params.schedule == WarmupCosineConfig(warmup_ratio=0.2)


def test_identity_leaves_out_the_machine() -> None:
    here = PretrainParams(n_steps=1, accelerator="cpu", progress_bar=False)
    there = PretrainParams(n_steps=1, accelerator="cuda", progress_bar=True)
    assert here.identity() == there.identity()
    assert here.identity() != PretrainParams(n_steps=1, seed=1).identity()


def test_importing_the_parameters_needs_no_torch() -> None:
    code = (
        "import sys; from eegfm.training.config import PretrainParams; PretrainParams(n_steps=1); "
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
