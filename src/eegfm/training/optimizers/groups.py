"""Parameter groups of an optimizer: with and without weight decay."""

from typing import Any

from torch import nn


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split trainable parameters into those that decay and those that do not.

    Vectors (norms, biases, learned tokens) and look-up tables do not: pulling them to zero regularises
    nothing. Nor do the parameters that a module names in ``no_weight_decay``. A parameter that occurs twice
    counts once.
    """
    exempt = {
        id(parameter)
        for part in module.modules()
        for name, parameter in part.named_parameters(recurse=False)
        if isinstance(part, nn.Embedding) or name in getattr(part, "no_weight_decay", ())
    }
    trainable = [p for p in module.parameters() if p.requires_grad]
    is_matrix = [p.ndim > 1 and id(p) not in exempt for p in trainable]
    groups = [
        ([p for p, decays in zip(trainable, is_matrix, strict=True) if decays], weight_decay),
        ([p for p, decays in zip(trainable, is_matrix, strict=True) if not decays], 0.0),
    ]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
