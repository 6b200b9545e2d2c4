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


def freeze_rules(strategy: TrainedStrategy, backbone: Backbone, n_epochs: int | None = None) -> tuple[FreezeRule, ...]:
    """Return what a strategy freezes of a backbone, by the names that ``eegfm.training.freezing`` knows.

    Args:
        strategy: The strategy.
        backbone: What it is used on.
        n_epochs: Epochs of the training; None if they are not known.

    Raises:
        ConfigError: Blocks are to be released one by one, and the encoder does not say which of its layers come first;
            or something would be released after the last epoch.
    """
    rules = _rules_of(strategy, backbone)
    last = max((rule.until_epoch for rule in rules if rule.until_epoch is not None), default=0)
    if n_epochs is not None and last >= n_epochs:
        earlier = "probe_epochs" if isinstance(strategy, TwoStageStrategy) else "unfreeze_epoch, block_epochs"
        raise ConfigError(
            f"finetune.strategy: {strategy.name} releases the last part of encoder {backbone.encoder.name} with epoch "
            f"{last} (counted from 0), and there are {n_epochs} epochs; set n_epochs to {last + 1} or more, or release "
            f"it earlier ({earlier})"
        )
    return rules


def _rules_of(strategy: TrainedStrategy, backbone: Backbone) -> tuple[FreezeRule, ...]:
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
