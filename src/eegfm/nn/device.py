"""Devices: check that one is there, and copy to it without waiting."""

import torch
from torch import Tensor

from eegfm.errors import ConfigError


def refuse_missing_gpu(key: str, value: str, *, precision: str = "32-true") -> None:
    """Refuse a device that this machine lacks.

    Args:
        key: Parameter that asks for a GPU, for the message.
        value: Its value: ``cuda``, or ``gpu`` for any GPU.
        precision: Number format of matrix products.

    Raises:
        ConfigError: No such device is there, or it does not know the number format.
    """
    has_cuda = torch.cuda.is_available()
    if not has_cuda and not (value == "gpu" and torch.backends.mps.is_available()):
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise ConfigError(
            f"parameter {key} is {value!r}, and torch {torch.__version__} ({build}) finds no GPU on this machine; set "
            f"{key}=cpu, or auto, which takes a GPU where there is one"
        )
    if precision == "bf16-mixed" and has_cuda and not torch.cuda.is_bf16_supported():
        raise ConfigError(
            f"parameter pretrain.precision is {precision!r}, and {torch.cuda.get_device_name()} does not compute in "
            "bfloat16; set pretrain.precision=32-true"
        )


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Copy values from the CPU to a device, without waiting for what it still has to do.

    The contents must not be changed afterwards. From memory that is not pinned, CUDA would wait for all work before.
    """
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    # A copy to MPS that is not waited for may read memory that is in use again.
    return values.to(device, non_blocking=device.type != "mps")
