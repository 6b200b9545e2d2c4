"""Devices: check that one is there, and copy to it without waiting."""

from typing import Literal

import torch
from torch import Tensor

from eegfm.errors import ConfigError


def training_device(
    accelerator: Literal["auto", "cpu", "cuda", "mps"], key: str = "accelerator", *, precision: str = "32-true"
) -> torch.device:
    """Return the device of a training. ``auto`` takes a CUDA device, else an Apple GPU, else the CPU.

    Args:
        accelerator: What is asked for.
        key: Parameter that asks for it, for the message.
        precision: Number format of matrix products, a parameter of the same block.

    Raises:
        ConfigError: A GPU is asked for and none is there, or the one that is taken does not know the number format.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    taken = next(name for name, is_there in found.items() if is_there) if accelerator == "auto" else accelerator
    if taken != "cpu":
        refuse_missing_gpu(key, taken, precision=precision)
    return torch.device(taken)


def refuse_missing_gpu(key: str, value: str, *, precision: str = "32-true") -> None:
    """Refuse a GPU that this machine lacks.

    Args:
        key: Parameter that asks for a GPU, for the message.
        value: Its value: ``cuda`` or ``mps``.
        precision: Number format of matrix products, a parameter of the same block.

    Raises:
        ConfigError: No such device is there, or it does not know the number format.
    """
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if not (has_cuda if value == "cuda" else has_mps):
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        what = "GPU" if value == "cuda" else "Apple GPU"
        raise ConfigError(
            f"parameter {key} is {value!r}, and torch {torch.__version__} ({build}) finds no {what} on this machine; "
            f"set {key}=cpu, or auto, which takes a GPU where there is one"
        )
    if precision == "bf16-mixed" and value == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        asked = f"{key.removesuffix('accelerator')}precision"
        raise ConfigError(
            f"parameter {asked} is {precision!r}, and {torch.cuda.get_device_name()} does not compute in bfloat16; "
            f"set {asked}=32-true"
        )


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Copy values from the CPU to a device, without waiting for what it still has to do.

    The contents must not be changed afterwards. From memory that is not pinned, CUDA would wait for all work before.
    """
    if device.type not in ("cpu", "mps") and values.device.type == "cpu":
        values = values.pin_memory()
    # A copy to MPS that is not waited for may read memory that is in use again.
    return values.to(device, non_blocking=device.type != "mps")
