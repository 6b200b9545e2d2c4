"""Choices that no optimizer can follow are refused in one line, without torch."""

from typing import Any

import pytest
from pydantic import ValidationError

from eegfm.encoders.config import BraindecodeConfig
from eegfm.training.config import PretrainParams
from eegfm.training.optimizers.config import AdamWConfig, SgdConfig


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        ({"name": "rprop"}, "'sgd', 'adam', 'adamw', 'lamb', 'muon'"),
        ({"name": "adamw", "momentum": 0.9}, "momentum"),
        ({"name": "adamw", "learning_rate": float("inf")}, "finite"),
        ({"name": "adamw", "learning_rate": 0}, "greater than 0"),
        ({"name": "lamb", "betas": [0.9, 1.0]}, "less than 1"),
        ({"name": "muon", "n_iterations": 100}, "less than 100"),
        ({"name": "sgd", "momentum": 0, "nesterov": True}, "nesterov needs momentum, which is 0"),
        ({"name": "adamw", "layer_decay": 1.5}, "less than or equal to 1"),
        ({"name": "adamw", "learning_rates": {"decoder": 0.1}}, r"learning_rates\.decoder"),
        (
            {"name": "adamw", "learning_rates": {"adapter": 0.1}},
            r"optimizer\.learning_rates\.adapter is 0\.1, but adapter none has no weights; leave it out.*perceiver",
        ),
    ],
    ids=str,
)
def test_refused(optimizer: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PretrainParams.model_validate({"n_steps": 1, "optimizer": optimizer})


def test_options_without_a_name_are_those_of_the_default() -> None:
    params = PretrainParams.model_validate({"n_steps": 1, "optimizer": {"learning_rate": 0.2}})
    assert params.optimizer == AdamWConfig(learning_rate=0.2)


def test_a_rate_of_an_adapter_with_weights_is_taken() -> None:
    rates = {"adapter": 0.1}
    given = {"n_steps": 1, "optimizer": {"learning_rates": rates, "name": "adamw"}, "adapter": {"name": "perceiver"}}
    assert PretrainParams.model_validate(given).optimizer.learning_rates.adapter == 0.1


def test_layers_without_an_order_are_refused() -> None:
    """No objective trains such an encoder yet, so that the whole parameters refuse it anyway."""
    adapter = PretrainParams(n_steps=1).adapter
    AdamWConfig().check_model(adapter, BraindecodeConfig())
    said = r"optimizer\.layer_decay is 0\.5, but encoder braindecode does not say.*null.*patch_transformer"
    with pytest.raises(ValueError, match=said):
        AdamWConfig(layer_decay=0.5).check_model(adapter, BraindecodeConfig())
    with pytest.raises(ValueError, match=r"set it to null, or start from an encoder with layers"):
        AdamWConfig(layer_decay=0.5).check_model(adapter, BraindecodeConfig(), is_of_start=True)


def test_nesterov_with_momentum_is_taken() -> None:
    assert SgdConfig(nesterov=True).momentum == 0.9
