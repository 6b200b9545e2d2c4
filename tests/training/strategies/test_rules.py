"""What each strategy freezes of each encoder, epoch by epoch."""

import pytest
import torch
from torch import nn

from answered_store import SPEC
from contracts.finetuning_cases import ENCODERS
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone, new_backbone
from eegfm.nn.lora import add_lora, lora_parameters
from eegfm.training.blocks import FreezeRule
from eegfm.training.strategies.config import (
    FullStrategy,
    GradualStrategy,
    LayerDecayStrategy,
    LinearProbeStrategy,
    LoraStrategy,
    ScratchStrategy,
    TrainedStrategy,
    TwoStageStrategy,
)
from eegfm.training.strategies.rules import freeze_rules

FAMILIES = [name for name in ENCODERS if name != "braindecode"]
BLOCKS = {
    "patch_transformer": 4, "patch_transformer-register": 3, "luna": 3, "labram": 4, "cbramod": 3, "femba": 3,
    "conv": 4, "gru": 3,
}  # fmt: skip
"""Groups of parameters by depth that an encoder has at most; some count the last norm to the last layer."""


def backbone_of(name: str) -> Backbone:
    config = ENCODERS[name]
    return new_backbone(config, _none(), SPEC, 0, reference="average", bad_channels="mask")


def _none() -> object:
    from eegfm.adapters.config import NoAdapterConfig

    return NoAdapterConfig()


def frozen(rules: tuple[FreezeRule, ...], backbone: nn.Module, epoch: int) -> set[str]:
    """Names of the parameters that are frozen in an epoch."""
    parts = [p for rule in rules if rule.until_epoch is None or epoch < rule.until_epoch for p in rule.parts]
    return {
        name for name, _ in backbone.named_parameters() if any(name == p or name.startswith(f"{p}.") for p in parts)
    }


def names(backbone: nn.Module) -> set[str]:
    return {name for name, _ in backbone.named_parameters()}


@pytest.mark.parametrize("encoder", FAMILIES)
def test_a_probe_freezes_everything_for_good(encoder: str) -> None:
    backbone = backbone_of(encoder)
    rules = freeze_rules(LinearProbeStrategy(), backbone)
    assert frozen(rules, backbone, 10**6) == names(backbone)


@pytest.mark.parametrize("encoder", FAMILIES)
@pytest.mark.parametrize(
    "strategy", [TwoStageStrategy(probe_epochs=3), GradualStrategy(unfreeze_epoch=3, block_epochs=None)]
)
def test_the_encoder_is_released_at_once(encoder: str, strategy: TrainedStrategy) -> None:
    backbone = backbone_of(encoder)
    rules = freeze_rules(strategy, backbone, 4)
    assert [len(frozen(rules, backbone, epoch)) for epoch in range(4)] == [len(names(backbone))] * 3 + [0]


@pytest.mark.parametrize("encoder", FAMILIES)
@pytest.mark.parametrize("strategy", [FullStrategy(), LayerDecayStrategy(), ScratchStrategy()])
def test_what_trains_all_freezes_nothing(encoder: str, strategy: TrainedStrategy) -> None:
    assert freeze_rules(strategy, backbone_of(encoder)) == ()


@pytest.mark.parametrize("encoder", FAMILIES)
@pytest.mark.parametrize(("first", "every"), [(0, 1), (2, 3)])
def test_blocks_are_released_from_the_last_to_the_embeddings(encoder: str, first: int, every: int) -> None:
    backbone = backbone_of(encoder)
    name_of = {id(parameter): name for name, parameter in backbone.named_parameters()}
    groups = [{name_of[id(p)] for p in group} for group in backbone.depth_groups() if group]
    rules = freeze_rules(GradualStrategy(unfreeze_epoch=first, block_epochs=every), backbone)
    assert len(groups) > 1
    assert set().union(*groups) == names(backbone)
    for n_released in range(len(groups) + 1):
        # One epoch before a block is released, and in its epoch.
        epoch = first + (n_released - 1) * every
        released = set().union(*groups[len(groups) - n_released :]) if epoch >= 0 else set()
        if n_released and epoch >= 0:
            assert frozen(rules, backbone, epoch) == names(backbone) - released
        if n_released and epoch > 0:
            later = groups[len(groups) - n_released + 1 :]
            assert frozen(rules, backbone, epoch - 1) == names(backbone) - set().union(*later)
    assert frozen(rules, backbone, first + (len(groups) - 1) * every) == set()


@pytest.mark.parametrize("encoder", BLOCKS)
def test_lora_freezes_all_but_its_changes(encoder: str) -> None:
    backbone = backbone_of(encoder)
    add_lora(backbone.lora_targets(), 2, 4.0, 0)
    rules = freeze_rules(LoraStrategy(rank=2), backbone)
    changes = set(lora_parameters(backbone))
    assert changes
    assert frozen(rules, backbone, 10**6) == names(backbone) - changes


def test_parts_without_weights_lie_in_the_part_around_them() -> None:
    """So that a dropout or a norm without weights is in evaluation mode with all that is frozen around it."""
    backbone = backbone_of("patch_transformer")
    [rule] = freeze_rules(LinearProbeStrategy(), backbone)
    assert "encoder" in rule.parts


@pytest.mark.parametrize(
    "strategy", [TwoStageStrategy(probe_epochs=5), GradualStrategy(unfreeze_epoch=2, block_epochs=1)]
)
def test_what_would_be_released_after_the_last_epoch_is_refused(strategy: TrainedStrategy) -> None:
    with pytest.raises(
        ConfigError, match=r"^finetune\.strategy: \w+ releases the last part .* there are 4 epochs; set n"
    ):
        freeze_rules(strategy, backbone_of("patch_transformer"), 4)


def test_blocks_need_an_encoder_that_tells_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = backbone_of("conv")
    everything = list(backbone.parameters())
    monkeypatch.setattr(Backbone, "depth_groups", lambda self: [everything])
    with pytest.raises(ConfigError, match="encoder conv does not say which of its layers come first; set block_epochs"):
        freeze_rules(GradualStrategy(), backbone)
    assert freeze_rules(GradualStrategy(block_epochs=None), backbone)
    assert all(isinstance(p, torch.nn.Parameter) for p in everything)
