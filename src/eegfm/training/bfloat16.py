"""Check that the CPU computes correctly in bfloat16. Some processors do not, see ``eegfm.processor``."""

import logging
import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv2d, conv3d

from eegfm.errors import TrainingError
from eegfm.processor import VARIABLE, WITHOUT_AMX, has_amx, onednn_limit

logger = logging.getLogger(__name__)

_LARGEST_ERROR = 0.05  # of a convolution's norm: rounding leaves 0.002, where sums are rounded too 0.012
_CONVOLUTIONS = {3: conv1d, 4: conv2d, 5: conv3d}


class _Case(NamedTuple):
    """A convolution that was seen to be wrong, or is like one that was.

    Args:
        signal: Shape of the input.
        weight: Shape of the kernels.
        stride: Along every axis.
        dilation: Along every axis.
        has_backward: Whether gradients are compared too; those of long kernels take seconds.
    """

    signal: tuple[int, ...]
    weight: tuple[int, ...]
    stride: int | tuple[int, int] = 1
    dilation: int = 1
    has_backward: bool = True


_CASES = (
    # Those of EEGNeX for two windows of 19 channels and 4 s at 200 Hz, whose output was off by 1.1 of its norm.
    _Case((2, 1, 19, 899), (8, 1, 1, 100), has_backward=False),
    _Case((2, 8, 19, 899), (32, 8, 1, 100), has_backward=False),
    _Case((2, 64, 165), (32, 64, 17), dilation=2),
    _Case((2, 32, 197), (8, 32, 17), dilation=4),
    # Strides longer than the kernel: github.com/uxlfoundation/oneDNN/pull/5494.
    _Case((1, 32, 67, 5), (48, 32, 1, 1), stride=(3, 1)),
    # A last axis of length 1 behind a stride: github.com/pytorch/pytorch/issues/169688.
    _Case((1, 64, 9, 9, 3), (32, 64, 3, 3, 3), stride=3),
)


def check_bfloat16(device: torch.device) -> None:
    """Refuse bfloat16 on a CPU that computes wrong convolutions with it. It costs a third of a second, once.

    Args:
        device: Device that would use bfloat16. Only CPUs are checked.

    Raises:
        TrainingError: The CPU does; the message names the environment variable that prevents it.
    """
    if device.type != "cpu":
        return
    error, limit = largest_error(), onednn_limit()
    if error > _LARGEST_ERROR:
        raise TrainingError(
            f"precision bf16-mixed: convolutions in bfloat16 are wrong on this CPU by {error:.2g} of their size "
            f"({VARIABLE} is {limit or 'not set'}, or was set too late); set {VARIABLE}={WITHOUT_AMX} before python "
            "starts, or precision: 32-true"
        )
    if limit == WITHOUT_AMX and has_amx():
        _say_limit()


@cache
def _say_limit() -> None:
    logger.info(
        "bfloat16 on this CPU: %s=%s keeps oneDNN from the processor's AMX instructions, with which torch %s "
        "computes wrong convolutions",
        VARIABLE,
        WITHOUT_AMX,
        torch.__version__,
    )


@cache
def largest_error() -> float:
    """Largest error of a convolution in bfloat16, or of its gradients, over the norm of what float32 gives.

    Random state and autocast are left as they are. Inputs are rounded first, so that only computing differs.
    """
    with torch.autocast("cpu", enabled=False), torch.enable_grad():
        return max(_error(*pair) for case in _CASES for pair in zip(*_both_precisions(case), strict=True))


def _both_precisions(case: _Case) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(shape, generator=generator).bfloat16() for shape in (case.signal, case.weight)]
    exact = _output_and_gradients(case, [value.float() for value in drawn])
    return _output_and_gradients(case, drawn), exact


def _output_and_gradients(case: _Case, values: list[Tensor]) -> list[Tensor]:
    signal, weight = (value.detach().requires_grad_(case.has_backward) for value in values)
    convolve = _CONVOLUTIONS[len(case.signal)]
    output: Tensor = convolve(signal, weight, stride=case.stride, dilation=case.dilation)
    if not case.has_backward:
        return [output]
    asked = torch.linspace(-1, 1, output.numel()).view_as(output).bfloat16()
    return [output.detach(), *torch.autograd.grad(output, (signal, weight), asked.to(output.dtype))]


def _error(found: Tensor, expected: Tensor) -> float:
    error = float((found.float() - expected).norm() / expected.norm())
    return math.inf if math.isnan(error) else error
