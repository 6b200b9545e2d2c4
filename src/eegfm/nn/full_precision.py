"""Computing in at least float32, also where a training computes in bfloat16."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

_P = ParamSpec("_P")
_R = TypeVar("_R")


def full(values: Tensor) -> Tensor:
    """Return values of half precision in float32, all others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def full_precision(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function of tensors compute in at least float32: autocast is off, arguments of half precision are cast.

    Sums over many windows and differences of near values, of which losses and measures consist, need more than the
    8 bits of bfloat16.
    """

    @wraps(function)
    def computed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        device = next(value.device for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(device.type, enabled=False):
            return function(*map(_full, args), **{name: _full(value) for name, value in kwargs.items()})

    return computed


def _full(value: Any) -> Any:
    return full(value) if isinstance(value, Tensor) else value
