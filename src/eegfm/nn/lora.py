"""LoRA: a change of low rank is trained on top of the weights of linear maps (Hu et al. 2021, arXiv 2106.09685).

A parametrization of torch puts the changed weight in the place of the weight. So whoever reads ``weight`` gets the
changed one, also a fused product or a scan that does not call the map as a module.

The publication also drops a share of the input of the change while training. That is left out: a parametrization sees
the weight and never the input.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from eegfm.errors import ConfigError

ENCODERS = ("braindecode", "cbramod", "conv", "femba", "gru", "labram", "luna", "patch_transformer")
"""Encoders with linear maps in their layers, for the message; of braindecode's models, those with attention."""

_NAME = "weight"
_INSIDE = f".parametrizations.{_NAME}."
_CHANGE = f"{_INSIDE}0."


class LowRankChange(nn.Module):
    """Add ``alpha / rank * up @ down`` to a weight (section 4.1).

    ``up`` starts at zero, so that the map starts as it was. ``down`` starts as a linear map of torch does (Kaiming's
    uniform rule), as the published code has it.

    Args:
        weight: (O, I) the weight that is changed; it decides shapes, device and precision.
        rank: Rank of the change. Beyond the shorter side of the weight it adds parameters and nothing else.
        alpha: Scale of the change, times ``rank``.
        generator: Draws ``down``.
    """

    scale: Tensor

    def __init__(self, weight: Tensor, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        n_outputs, n_inputs = weight.shape
        down = torch.empty(rank, n_inputs)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(n_outputs, rank))
        # Stored, so that tensors of a file can be merged without the configuration.
        self.register_buffer("scale", weight.new_tensor(alpha / rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the changed weight, in the precision of the weight also under autocast."""
        with torch.autocast(weight.device.type, enabled=False):
            return _changed(weight, self.up, self.down, self.scale)


def add_lora(targets: Mapping[str, nn.Module], rank: int, alpha: float, seed: int) -> None:
    """Put a change of low rank on the weights of linear maps; global random state is left as is.

    Freezing is left to the caller: ``lora_parameters`` names the parameters that are to be trained.

    Args:
        targets: By name, from ``Backbone.lora_targets``.
        rank: See ``LowRankChange``.
        alpha: The same.
        seed: Seed of the initial weights.

    Raises:
        ConfigError: There is no target.
    """
    if not targets:
        raise ConfigError(
            "LoRA changes linear maps in the layers of an encoder, and this encoder has none; choose another strategy, "
            f"or one of the encoders that have some: {', '.join(ENCODERS)}"
        )
    generator = torch.Generator().manual_seed(seed)
    for _, target in sorted(targets.items()):
        weight = target.get_parameter(_NAME)
        parametrize.register_parametrization(target, _NAME, LowRankChange(weight, rank, alpha, generator))


def lora_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Find the parameters of all changes of low rank in a module, by dotted name."""
    changes = [(name, part) for name, part in module.named_modules() if isinstance(part, LowRankChange)]
    return {f"{name}.{own}": parameter for name, part in changes for own, parameter in part.named_parameters()}


def merge_lora(module: nn.Module) -> None:
    """Make every changed weight of a module a plain weight again, which holds the change.

    Names, shapes and computed values are then those of a module that never had LoRA.
    """
    for part in _changed_parts(module):
        weight = part.get_parameter(f"{_INSIDE[1:]}original")
        with torch.no_grad():
            weight.copy_(getattr(part, _NAME))
        # Not torch's remove_parametrizations: it changes the class of the part, which deep copies share, and so breaks
        # the model that a copy was made of.
        part.__class__ = parametrize.type_before_parametrizations(part)
        del part.parametrizations
        part.register_parameter(_NAME, weight)


def merged_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the state dict of a module with LoRA the names, shapes and values that it has after ``merge_lora``.

    Args:
        state: State dict; entries that no change concerns come back as they are.
    """
    changed = {name.removesuffix(f"{_CHANGE}up") for name in state if name.endswith(f"{_CHANGE}up")}
    merged: dict[str, Tensor] = {}
    for name, value in state.items():
        map_name, inside, part = name.partition(_INSIDE)
        if not inside or map_name not in changed:
            merged[name] = value
        elif part == "original":
            up, down, scale = (state[f"{map_name}{_CHANGE}{own}"] for own in ("up", "down", "scale"))
            merged[f"{map_name}.{_NAME}"] = _changed(value, up, down, scale)
    return merged


def _changed(weight: Tensor, up: Tensor, down: Tensor, scale: Tensor) -> Tensor:
    return weight + scale * (up @ down)


def _changed_parts(module: nn.Module) -> Iterator[nn.Module]:
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, _NAME):
            changes = list(part.get_submodule(f"parametrizations.{_NAME}").children())
            if isinstance(changes[0], LowRankChange):
                assert len(changes) == 1, "another parametrization was put on top"
                yield part
