"""Every parameter has one group, by part, depth and decay."""

import pytest
import torch
from torch import nn

from eegfm.errors import ConfigError
from eegfm.training.optimizers.config import AdamWConfig
from eegfm.training.optimizers.groups import decaying_parameters, parameter_groups
from small_objective import DECAYING, SmallObjective


class Sample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.table = nn.Embedding(5, 4)
        self.token = nn.Parameter(torch.zeros(4))
        self.shared = self.linear


def test_only_matrices_decay() -> None:
    module = Sample()
    assert [id(p) for p in decaying_parameters(module)] == [id(module.linear.weight)]


def test_a_module_names_what_does_not_decay() -> None:
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[0].no_weight_decay = ("weight",)  # its own; the other layer has a weight too
    assert [id(p) for p in decaying_parameters(module)] == [id(module[1].weight)]


def rates(objective: SmallObjective, config: AdamWConfig) -> dict[str, tuple[float, float, str]]:
    """By name of a parameter: rate, decay and part."""
    names = {id(p): name for name, p in objective.named_parameters()}
    found: dict[str, tuple[float, float, str]] = {}
    for group in parameter_groups(objective, config):
        for p in group["params"]:
            assert names[id(p)] not in found, "one group each"
            found[names[id(p)]] = (group["lr"], group["weight_decay"], group["name"])
    assert len(found) == len(names)
    return found


def test_every_parameter_has_one_group_frozen_ones_too() -> None:
    objective = SmallObjective()
    objective.backbone.encoder.layers.requires_grad_(False)
    found = rates(objective, AdamWConfig(learning_rate=0.5, weight_decay=0.2))
    decays = {name for name, (_, decay, _) in found.items() if decay}
    assert decays == DECAYING
    assert {decay for _, decay, _ in found.values()} == {0.0, 0.2}
    assert {rate for rate, _, _ in found.values()} == {0.5}
    assert {part for _, _, part in found.values()} == {"adapter", "encoder", "head"}


def test_a_shared_weight_is_the_encoders() -> None:
    objective = SmallObjective()
    objective.head.weight = objective.backbone.encoder.layers[1].weight
    assert "head.weight" not in rates(objective, AdamWConfig())
    assert rates(objective, AdamWConfig())["backbone.encoder.layers.1.weight"][2] == "encoder"


def test_each_part_has_its_rate_and_others_the_base_rate() -> None:
    config = AdamWConfig.model_validate({"learning_rate": 1.0, "learning_rates": {"adapter": 0.1, "encoder": 0.01}})
    by_part = {part: rate for rate, _, part in rates(SmallObjective(), config).values()}
    assert by_part == {"adapter": 0.1, "encoder": 0.01, "head": 1.0}
    config = AdamWConfig.model_validate({"learning_rate": 1.0, "learning_rates": {"head": 3.0}})
    by_part = {part: rate for rate, _, part in rates(SmallObjective(), config).values()}
    assert by_part == {"adapter": 1.0, "encoder": 1.0, "head": 3.0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"adapter": 0.25, "encoder.0": 0.25, "encoder.1": 0.5, "encoder.2": 1.0, "head": 1.0}),
        ({"encoder": 8.0}, {"adapter": 0.25, "encoder.0": 2.0, "encoder.1": 4.0, "encoder.2": 8.0, "head": 1.0}),
        (
            {"adapter": 3.0, "head": 5.0},
            {"adapter": 3.0, "encoder.0": 0.25, "encoder.1": 0.5, "encoder.2": 1.0, "head": 5.0},
        ),
    ],
)
def test_rates_fall_with_depth(given: dict[str, float], expected: dict[str, float]) -> None:
    config = AdamWConfig.model_validate({"learning_rate": 1.0, "layer_decay": 0.5, "learning_rates": given})
    assert {part: rate for rate, _, part in rates(SmallObjective(), config).values()} == expected


def test_the_first_group_has_the_heads_rate() -> None:
    first, *_ = parameter_groups(SmallObjective(), AdamWConfig(learning_rate=1.0, layer_decay=0.5))
    assert first["lr"] == 1.0


def test_a_rate_without_weights_is_refused() -> None:
    config = AdamWConfig.model_validate({"learning_rates": {"adapter": 0.1}})
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rates\.adapter is 0\.1, but it has no weights"):
        parameter_groups(SmallObjective(adapts=False), config)


def test_an_encoder_of_one_layer_has_no_rates_by_depth() -> None:
    objective = SmallObjective()
    encoder = objective.backbone.encoder
    encoder.depth_groups = lambda: [[], list(encoder.parameters())]
    assert parameter_groups(objective, AdamWConfig())
    with pytest.raises(ConfigError, match=r"optimizer\.layer_decay is 0\.5, but the encoder does not say"):
        parameter_groups(objective, AdamWConfig(layer_decay=0.5))
