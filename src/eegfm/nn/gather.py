"""Put the windows of all ranks together, with gradients: losses that compare windows see the whole micro-batch."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from eegfm.nn.context import Context


def of_all_ranks(own: Tensor, context: Context) -> Tensor:
    """Put the rows of all ranks together, in the order of the whole micro-batch (``eegfm.batch.rank_slice``).

    Every rank computes the same loss of the result. The gradient of a rank's own rows is the sum over all ranks, so the
    mean over ranks of the gradients of weights is that of one process.

    Args:
        own: (B / R, ...) rows of this rank, as many as every other has. Row k is row ``rank + k * R`` of all.
        context: Number of this rank, and of all.

    Returns:
        (B, ...) rows of all ranks; in one process, and in a validation, whose micro-batches are whole, ``own`` itself.
    """
    if context.world_size == 1:
        return own
    parts: Tensor = _Gather.apply(own)  # type: ignore[no-untyped-call]  # torch's own
    return parts.transpose(0, 1).flatten(0, 1)


class _Gather(torch.autograd.Function):
    """(b, ...) of each rank to (R, b, ...) of all."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        own = own.contiguous()
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed[dist.get_rank()]
