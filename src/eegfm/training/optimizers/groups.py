"""Parameter groups of an optimizer: by part and depth of the model, with and without weight decay."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import nn

from eegfm.errors import ConfigError
from eegfm.objectives.base import Objective
from eegfm.training.optimizers.config import BaseOptimizerConfig


class Part(NamedTuple):
    """Parameters that share a learning rate.

    Args:
        name: ``head``, ``adapter``, ``encoder``, or with ``layer_decay`` ``encoder.0`` (embeddings), ``encoder.1``, …
        parameters: Its parameters.
        learning_rate: Their rate, at the peak of the schedule.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    learning_rate: float


def parameter_groups(objective: Objective, config: BaseOptimizerConfig) -> list[dict[str, Any]]:
    """Put every parameter into one group, those that are frozen now as well: a later step may release them.

    Each group has ``name`` (that of its part), ``lr``, ``weight_decay``, and ``decays``: whether it holds the matrices
    and kernels of its part, or what never decays. Optimizers skip a parameter without a gradient, so frozen ones do
    not even decay. A parameter that occurs twice counts where it occurs first: adapter, encoder, head.

    Raises:
        ConfigError: A part has a rate and no weights.
    """
    decaying = {id(parameter) for parameter in decaying_parameters(objective)}
    groups = []
    for part in _parts(objective, config):
        for decays in (True, False):
            chosen = [p for p in part.parameters if (id(p) in decaying) == decays]
            weight_decay = config.weight_decay if decays else 0.0
            group = {"name": part.name, "lr": part.learning_rate, "weight_decay": weight_decay, "decays": decays}
            groups += [{"params": chosen, **group}] if chosen else []
    return groups


def decaying_parameters(module: nn.Module) -> list[nn.Parameter]:
    """List the parameters that weight decay pulls to zero: matrices and kernels.

    Vectors (norms, biases, learned tokens) and look-up tables do not decay: pulling them to zero regularises
    nothing. Nor do the parameters that a module names in ``no_weight_decay``.
    """
    exempt = {
        id(parameter)
        for part in module.modules()
        for name, parameter in part.named_parameters(recurse=False)
        if isinstance(part, nn.Embedding) or name in getattr(part, "no_weight_decay", ())
    }
    return [p for p in module.parameters() if p.ndim > 1 and id(p) not in exempt]


def _parts(objective: Objective, config: BaseOptimizerConfig) -> Iterator[Part]:
    """Parts from the head down, so that the first group of an optimizer has the base rate."""
    backbone, rates = objective.backbone, config.learning_rates
    seen: set[int] = set()
    adapter = _new(backbone.adapter.parameters(), seen)
    depths = [_new(group, seen) for group in backbone.encoder.depth_groups()]
    head = _new(objective.parameters(), seen)
    for name, given, parameters in (("adapter", rates.adapter, adapter), ("head", rates.head, head)):
        if given is not None and not parameters:
            raise ConfigError(f"optimizer.learning_rates.{name} is {given:g}, but it has no weights; leave it out")
    falls = 1.0 if config.layer_decay is None else config.layer_decay
    n_layers = len(depths) - 1
    yield Part("head", head, rates.head or config.learning_rate)
    yield Part("adapter", adapter, rates.adapter or config.learning_rate * falls**n_layers)
    base = rates.encoder or config.learning_rate
    if config.layer_decay is None:
        yield Part("encoder", [p for group in depths for p in group], base)
    elif sum(map(bool, depths)) < 2:
        raise ConfigError(
            f"optimizer.layer_decay is {falls:g}, but the encoder does not say which of its layers come first; "
            "set it to null"
        )
    else:
        yield from (Part(f"encoder.{k}", group, base * falls ** (n_layers - k)) for k, group in enumerate(depths))


def _new(parameters: Any, seen: set[int]) -> list[nn.Parameter]:
    """Parameters that were not seen before, each once."""
    found = {id(p): p for p in parameters if id(p) not in seen}
    seen.update(found)
    return list(found.values())
