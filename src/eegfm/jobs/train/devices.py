"""Count the devices of a training, each of which gets a process of its own."""

import torch

from eegfm.errors import ConfigError
from eegfm.training.config import PretrainParams
from eegfm.training.loading.residency import training_device


def with_devices(params: PretrainParams, key: str = "pretrain") -> PretrainParams:
    """The same parameters with a number of devices in the place of ``auto``.

    Args:
        params: All choices.
        key: Name of their block, for messages.

    Raises:
        ConfigError: This node has fewer GPUs, or the batch cannot be shared out over those that it has.
    """
    is_cuda = training_device(params.accelerator).type == "cuda"
    n_gpus = torch.cuda.device_count() if is_cuda else 0
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
