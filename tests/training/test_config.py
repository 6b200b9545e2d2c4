"""Parameters of pretraining."""

import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from eegfm.encoders.config import LabramConfig
from eegfm.errors import ConfigError
from eegfm.objectives.config import TokenizerConfig
from eegfm.training.config import PretrainParams, TokenizerParams
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


def test_a_tokenizer_is_the_published_one_but_for_what_is_given() -> None:
    params = TokenizerParams.model_validate({})
    assert (params.n_epochs, params.objective, params.encoder) == (100, TokenizerConfig(), TokenizerParams().encoder)
    given = TokenizerParams.model_validate(
        {"n_steps": 3, "encoder": {"n_maps": 4, "n_heads": 5}, "objective": {"n_codes": 9}}
    )
    assert (given.n_steps, given.n_epochs) == (3, None)
    assert given.objective == TokenizerConfig(n_codes=9)
    published = {"name": "adamw", "learning_rate": 5e-5, "betas": (0.9, 0.99), "weight_decay": 1e-4}
    assert published.items() <= params.optimizer.model_dump().items()
    faster = TokenizerParams.model_validate({"optimizer": {"learning_rate": 1e-3}}).optimizer
    assert {**published, "learning_rate": 1e-3}.items() <= faster.model_dump().items()
    assert TokenizerParams.model_validate({"optimizer": {"name": "lamb"}}).optimizer.name == "lamb"
    for encoder, n_maps in ((params.encoder, 8), (given.encoder, 4)):
        assert isinstance(encoder, LabramConfig)
        assert (encoder.n_maps, encoder.patch_norm, encoder.qk_norm, encoder.layer_scale) == (
            n_maps,
            "window",
            False,
            0,
        )
    for choices in ({}, {"start": "file"}, {"start": "file", "encoder": None}):
        params = TokenizerParams.model_validate(choices)
        assert "encoder" not in params.model_fields_set, "a start decides it"
    assert TokenizerParams.model_validate(given.model_dump(mode="json")) == given
    assert PretrainParams.model_validate(given.model_dump(mode="json")).identity() == given.identity()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objective": {"name": "masked"}}, "objective.name is 'masked', and the tokenizer is trained by"),
        ({"encoder": {"name": "luna"}}, "objective tokenizer trains the tokenizer of encoder labram, not of luna"),
    ],
)
def test_what_is_no_tokenizer_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationError, ConfigError), match=re.escape(message)):
        TokenizerParams.model_validate(given)


def test_importing_the_parameters_needs_no_torch() -> None:
    code = (
        "import sys; from eegfm.training.config import PretrainParams; PretrainParams(n_steps=1); "
        "sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "fsdp"}, "strategy is fsdp; .* choose ddp or auto"),
        (
            {"devices": 2, "accumulate": 4, "batch_size": 20},
            r"batch_size 20 .* 2 processes \(devices 2, num_nodes 1\) and 4 parts each \(accumulate\); .*: 16 or 24",
        ),
        (
            {"devices": 4, "num_nodes": 2, "batch_size": 20},
            r"batch_size 20 cannot be shared out over 8 processes \(devices 4, num_nodes 2\); .*: 16 or 24",
        ),
        ({"devices": 3, "batch_size": 2}, r"over 3 processes .*: 3$"),
        ({"devices": "auto", "num_nodes": 3}, r"batch_size 40 cannot .*: 39 or 42"),
        ({"devices": 0}, "devices"),
        ({"rendezvous": "node1"}, "rendezvous is 'node1'; give HOST:PORT"),
    ],
)
def test_devices_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PretrainParams.model_validate({"n_steps": 1, **given})
    assert re.search(message, refused.value.errors()[0]["msg"] + str(refused.value.errors()[0]["loc"])[2:-3]) or (
        re.search(message, refused.value.errors()[0]["msg"])
    )
