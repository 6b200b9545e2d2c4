"""Check the names and tensors of a file that another program wrote, before anything takes memory for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eegfm.errors import CheckpointError

MAX_GROWTH = 8
"""Most times that weights may be larger in memory, as float32, than in their file: float8 takes four times its bytes,
and two weights may share theirs."""
SMALL_BYTES = 64 << 20
"""Weights up to this size may grow by more."""
_TYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool}
    | {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64}
    | {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}
)
_NUMPY_TYPES = frozenset({torch.float64, torch.float32, torch.float16})
_REMEDY = "save its weights as plain dense tensors on the CPU (safetensors.torch.save_file) and import that"


def checked_arrays(
    path: Path, tensors: Mapping[Any, Tensor], *, keeps_types: bool = False
) -> dict[str, NDArray[np.generic]]:
    """Return the weights as numpy arrays: floating point as float32, whole numbers as they are.

    Args:
        path: Their file.
        tensors: By name, as the file gives both.
        keeps_types: Whether floating point keeps its type, where numpy has it.

    Raises:
        CheckpointError: A name is no text, a tensor is not dense, plain and on the CPU, has numbers of a kind that no
            weight has, or all of them are far larger than the file.
    """
    allowed = max(SMALL_BYTES, MAX_GROWTH * path.stat().st_size)
    n_bytes = 0
    for name, value in tensors.items():
        if not isinstance(name, str) or not _is_utf8(name):
            raise CheckpointError(
                f"{path}: holds the name {shown(name)}; names of weights are text in UTF-8; {_REMEDY}"
            )
        odd = _oddity(value)
        if odd:
            raise CheckpointError(f"{path}: weight {shown(name)} is {odd}; {_REMEDY}")
        n_bytes += value.numel() * (4 if value.is_floating_point() else value.element_size())
        if n_bytes > allowed:
            raise CheckpointError(
                f"{path}: its weights up to {shown(name)}, of shape {tuple(value.shape)}, take {n_bytes / 1e9:.3g} GB "
                f"in memory, the file has {path.stat().st_size} bytes: its tensors are stretched; {_REMEDY}"
            )
    return {name: _array(value, keeps_type=keeps_types) for name, value in tensors.items()}


def shown(name: Any) -> str:
    """Return a name in quotes, without control characters and of limited length."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _oddity(value: Tensor) -> str:
    """Return what keeps a tensor from being a weight; empty for a weight."""
    if value.is_nested:
        return "a nested tensor"
    if value.layout != torch.strided:
        return f"a sparse tensor ({str(value.layout).removeprefix('torch.')})"
    if value.is_quantized:
        return "quantized"
    if value.device.type != "cpu":
        return f"without values, on the device {value.device.type!r}"
    if value.dtype not in _TYPES:
        return f"of type {str(value.dtype).removeprefix('torch.')}, which no weight here has"
    return ""


def _array(value: Tensor, *, keeps_type: bool) -> NDArray[np.generic]:
    """Convert to numpy. bfloat16 becomes float32, because numpy has no bfloat16."""
    plain = value.detach().resolve_neg()
    stays = not plain.is_floating_point() or (keeps_type and plain.dtype in _NUMPY_TYPES)
    array: NDArray[np.generic] = (plain if stays else plain.float()).numpy()
    return array
