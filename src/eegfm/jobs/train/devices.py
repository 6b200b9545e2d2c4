"""Count the devices of a training, each of which gets a process of its own, and look whether they suit it."""

import torch

from eegfm.errors import ConfigError
from eegfm.nn.device import training_device
from eegfm.training.bfloat16 import check_bfloat16
from eegfm.training.config import PretrainParams


def for_this_machine(params: PretrainParams, key: str) -> PretrainParams:
    """Check whether this machine can do what is asked for; ``devices: auto`` becomes their number.

    Raises:
        ConfigError: See ``with_devices``.
        TrainingError: The CPU computes wrong in bfloat16.
    """
    if params.precision == "bf16-mixed":
        check_bfloat16(training_device(params.accelerator, f"{key}.accelerator", precision=params.precision))
    return with_devices(params, key)


def with_devices(params: PretrainParams, key: str = "pretrain") -> PretrainParams:
    """Put a number of devices in the place of ``auto``.

    Args:
        params: All choices.
        key: Name of their block, for messages.

    Raises:
        ConfigError: This node has fewer GPUs, or the batch cannot be shared out over those that it has.
    """
    device = training_device(params.accelerator, f"{key}.accelerator")
    is_cuda = device.type == "cuda"
    n_gpus = torch.cuda.device_count() if is_cuda else 0
    if device.type == "mps" and params.devices not in (1, "auto"):
        raise ConfigError(
            f"{key}.devices is {params.devices}, and an Apple machine has one GPU; choose 1, or {key}.accelerator=cpu"
        )
    if params.devices != "auto":
        if is_cuda and params.devices > n_gpus:
            raise ConfigError(
                f"{key}.devices is {params.devices}, and this node has {n_gpus} GPU{'s' if n_gpus > 1 else ''}; "
                "choose at most that many, or auto"
            )
        return params
    n_devices = max(n_gpus, 1)
    if params.batch_size % (n_devices * params.num_nodes):
        raise ConfigError(
            f"{key}.batch_size {params.batch_size} cannot be shared out over the {n_devices} GPUs (devices: auto) on "
            f"each of {params.num_nodes} nodes; choose a multiple of {n_devices * params.num_nodes}, or set devices"
        )
    return params.model_copy(update={"devices": n_devices})


def n_ranks(params: PretrainParams) -> int:
    """Processes of a training on all nodes; its devices are counted, see ``with_devices``."""
    assert params.devices != "auto"
    return params.devices * params.num_nodes
