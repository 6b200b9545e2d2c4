"""Batch norms that count the windows of all ranks, so that several processes normalize as one does.

Torch's ``SyncBatchNorm`` does so on GPUs alone. Here the modules stay what they are, with their weights and their
names: for as long as a training on several devices lasts, another function computes what they give.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from eegfm.errors import TrainingError
from eegfm.nn.full_precision import full_precision


@contextmanager
def over_all_ranks(module: nn.Module, whole: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Have the batch norms of a module normalize over the windows of all ranks inside the block, while they train.

    Every rank runs the same norms in the same order, forwards and backwards. Ranks may have different numbers of
    windows. The gradient that reaches the input is that of the sum of the losses of all ranks. So the mean over the
    ranks of the gradients of weights is that of one process, as with ``eegfm.nn.gather``. Running statistics move as in
    one process, and are the same on all ranks. A norm in evaluation mode is left to torch.

    Args:
        module: What is trained.
        whole: Parts of it that see the windows of all ranks on every rank. Their norms count them all already.

    Raises:
        TrainingError: A batch norm has a way of its own to compute.
    """
    already = {id(part) for parts in whole for part in parts.modules()}
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and id(part) not in already]
    for norm in norms:
        if type(norm).forward is not _BatchNorm.forward:
            raise TrainingError(
                f"{type(norm).__name__} is a batch norm with a forward pass of its own, which cannot count the windows "
                "of several devices; train on one (devices=1)"
            )
    for norm in norms:
        norm.__dict__["forward"] = partial(_forward, norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.__dict__["forward"]


def _forward(norm: _BatchNorm, values: Tensor) -> Tensor:
    """Take the place of the forward pass of a batch norm."""
    if not norm.training:
        return _BatchNorm.forward(norm, values)
    norm._check_input_dim(values)  # type: ignore[no-untyped-call]  # torch's own
    return _normalized(values, norm).to(values.dtype)


@full_precision
def _normalized(values: Tensor, norm: _BatchNorm) -> Tensor:
    """Normalize (B, C, ...) values of this rank with the mean and the variance of all ranks.

    The mean comes first, and the variance from distances to it: a difference of squares would lose the digits of a
    small variance around a large mean.
    """
    others = [0, *range(2, values.ndim)]
    by_channel = [1, -1] + [1] * (values.ndim - 2)
    own = values.new_full((1,), values.numel() // values.shape[1])
    total = sum_over_ranks(torch.cat([values.sum(dim=others), own]))
    count = total[-1].detach()
    mean = total[:-1] / count
    centred = values - mean.view(by_channel)
    variance = sum_over_ranks(centred.square().sum(dim=others)) / count
    if norm.track_running_stats:
        _follow(norm, mean.detach(), variance.detach() * (count / (count - 1)))
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    normalized: Tensor = centred * scale.view(by_channel)
    return normalized if norm.bias is None else normalized + norm.bias.view(by_channel)


@torch.no_grad()
def _follow(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move running statistics towards the (C,) mean and unbiased variance of a batch."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    # Without a momentum they are the mean over all batches.
    momentum: Any = mean.new_ones(()) / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    for running, found in ((norm.running_mean, mean), (norm.running_var, variance)):
        running.copy_((1 - momentum) * running + momentum * found)


@torch.library.custom_op("eegfm::sum_over_ranks", mutates_args=())
def sum_over_ranks(own: Tensor) -> Tensor:
    """Add tensors of one shape over all ranks. The gradient is added in the same way: every rank's loss counts.

    This is an operator of torch, so that ``torch.compile`` keeps it in its graph as it is.
    """
    total = own.contiguous().clone()
    dist.all_reduce(total)
    return total


@sum_over_ranks.register_fake
def _(own: Tensor) -> Tensor:
    return torch.empty_like(own, memory_format=torch.contiguous_format)


def _gradient_of_sum(context: Any, gradient: Tensor) -> Tensor:
    summed: Tensor = sum_over_ranks(gradient)
    return summed


sum_over_ranks.register_autograd(_gradient_of_sum)
