"""Bound the memory that a module takes while it is built, before the memory is taken."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

SLACK_BYTES = 256 << 20
"""Tables that are no weights, and values that initialisation throws away."""
GROWTH = 4
"""Most times that a module may take the memory of its weights while it is built."""


def machine_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class AllocationLimit(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types for the base class
    """Refuse to make new tensors of more than so many bytes together; use as a context manager.

    Counted is what a module makes from sizes alone, which is all of its weights. A layer too many therefore ends the
    build as a layer too wide does.

    Args:
        max_bytes: The limit.
        refusal: Makes the error, from the bytes that were asked for so far.
    """

    def __init__(self, max_bytes: int, refusal: Callable[[int], Exception]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nor for its __init__
        self._max_bytes, self._refusal = max_bytes, refusal
        self._n_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Count, then compute as without this."""
        given = dict(kwargs or {})
        n_elements = _n_elements(func, args)
        if n_elements:
            dtype = given.get("dtype") or torch.get_default_dtype()
            self._n_bytes += n_elements * dtype.itemsize
            if self._n_bytes > self._max_bytes:
                raise self._refusal(self._n_bytes)
        return func(*args, **given)


def _n_elements(func: Any, args: Sequence[Any]) -> int:
    """Elements of the tensor that an operation makes from sizes; 0 for other operations."""
    names = [argument.name for argument in func._schema.arguments]
    values: dict[str, Any] = dict(zip(names, args, strict=False))
    if not names or any(isinstance(value, torch.Tensor) for value in args):
        return 0  # it makes no more than a small multiple of what there is
    if isinstance(values.get("size"), list | tuple):
        return math.prod(int(n) for n in values["size"])
    if isinstance(values.get("steps"), int):
        return int(values["steps"])
    if isinstance(values.get("n"), int):  # eye, randperm
        n_columns = values.get("m", values["n"]) if "eye" in func._schema.name else 1
        return int(values["n"]) * int(n_columns)
    if "end" in values:  # arange
        n_steps = (values["end"] - values.get("start", 0)) / (values.get("step") or 1)
        return int(max(0, math.ceil(n_steps)))
    return 0
