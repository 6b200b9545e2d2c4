"""Parts of a model that a strategy freezes, and until when."""

from collections.abc import Iterator

from torch import nn

from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone
from eegfm.nn.lora import lora_parameters
from eegfm.training.blocks import FreezeRule
from eegfm.training.strategies.config import (
    GradualStrategy,
    LinearProbeStrategy,
    LoraStrategy,
    TrainedStrategy,
    TwoStageStrategy,
)


def freeze_rules(strategy: TrainedStrategy, backbone: Backbone) -> tuple[FreezeRule, ...]:
    """Return what a strategy freezes of a backbone, by the names that ``eegfm.training.freezing`` knows.

    Raises:
        ConfigError: Blocks are to be released one by one, and the encoder does not say which of its layers come first.
    """
    if isinstance(strategy, LinearProbeStrategy):
        return _rules([_parts(backbone)], [None])
    if isinstance(strategy, TwoStageStrategy):
        return _rules([_parts(backbone)], [strategy.probe_epochs])
    if isinstance(strategy, GradualStrategy):
        return _gradual(strategy, backbone)
    if isinstance(strategy, LoraStrategy):
        trained = {id(parameter) for parameter in lora_parameters(backbone).values()}
        return _rules([list(_maximal(backbone, {id(p) for p in backbone.parameters()} - trained))], [None])
    return ()


def _gradual(strategy: GradualStrategy, backbone: Backbone) -> tuple[FreezeRule, ...]:
    if strategy.block_epochs is None:
        return _rules([_parts(backbone)], [strategy.unfreeze_epoch])
    groups = [group for group in backbone.depth_groups() if group]
    if len(groups) < 2:
        raise ConfigError(
            f"finetune.strategy: gradual releases block by block (block_epochs {strategy.block_epochs}), but encoder "
            f"{backbone.encoder.name} does not say which of its layers come first; set block_epochs to null"
        )
    parts = [list(_maximal(backbone, {id(p) for p in group})) for group in groups]
    last = len(parts) - 1
    return _rules(parts, [strategy.unfreeze_epoch + (last - k) * strategy.block_epochs for k in range(len(parts))])


def _rules(parts: list[list[str]], until: list[int | None]) -> tuple[FreezeRule, ...]:
    """Rules of the parts that there are; epoch 0 freezes nothing."""
    return tuple(
        FreezeRule(parts=tuple(names), until_epoch=epoch)
        for names, epoch in zip(parts, until, strict=True)
        if names and epoch != 0
    )


def _parts(backbone: Backbone) -> list[str]:
    return list(_maximal(backbone, {id(p) for p in backbone.parameters()}))


def _maximal(module: nn.Module, chosen: set[int], prefix: str = "") -> Iterator[str]:
    """Names of the largest parts all of whose weights are chosen, and of single weights elsewhere.

    A part without weights belongs to the part around it: it is frozen where all of that is.
    """
    for name, parameter in module.named_parameters(recurse=False):
        if id(parameter) in chosen:
            yield f"{prefix}{name}"
    for name, child in module.named_children():
        ids = {id(p) for p in child.parameters()}
        if ids and ids <= chosen:
            yield f"{prefix}{name}"
        elif ids & chosen:
            yield from _maximal(child, chosen, f"{prefix}{name}.")
