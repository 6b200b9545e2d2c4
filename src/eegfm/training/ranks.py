"""Exchange between the processes (ranks) of one training: gradients, and means for logs.

The gradients are exchanged here and not by torch's ``DistributedDataParallel``. That wrapper fixes at its start which
weights are trained, so a weight that is released later would differ between ranks without an error. It also expects
every weight in the last backward pass of a step, but each micro-batch of a step uses the weights of its own montage.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from eegfm.json_text import parse_json

_BACKEND_CPU, _BACKEND_CUDA = "gloo", "cpu:gloo,cuda:nccl"
_BUCKET_BYTES = 64 << 20
"""Most bytes of gradients that one exchange copies together: a copy of all of them would be a second model."""


class RankStrategy(DDPStrategy):
    """Lightning's strategy for processes that another program starts, without a wrapper around the module."""

    def _get_process_group_backend(self) -> str:
        """Tensors of the CPU travel without the GPU, so that no exchange of plain data waits for it."""
        return _BACKEND_CUDA if self.root_device.type == "cuda" else _BACKEND_CPU

    def configure_ddp(self) -> None:
        """Give every rank the weights and buffers of rank 0: ranks on different processors round differently."""
        assert self.model is not None
        with torch.no_grad():
            for tensor in (*self.model.parameters(), *self.model.buffers()):
                whole = tensor.contiguous()
                dist.broadcast(whole, 0)
                tensor.copy_(whole)


def join() -> None:
    """Join the other ranks, which ``torch.distributed.run`` told this process of. Lightning finds that it is done."""
    if not dist.is_initialized():
        dist.init_process_group(_BACKEND_CUDA if torch.cuda.is_available() else _BACKEND_CPU)


def ask_nothing_of_ranks(trainer: Trainer) -> None:
    """Keep Lightning from asking, in every step, whether rank 0 was told to stop.

    It does so with a tensor on the GPU, and so waits for it. ``told_to_any`` asks all ranks on the CPU.
    """
    loop = trainer.fit_loop.epoch_loop
    assert hasattr(loop, "_broadcast_sigterm_tensor"), "Lightning asks its ranks with this method"
    # A method of one object is replaced, which mypy takes for a mistake.
    loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]


def told_to_any(number: int | None) -> int | None:
    """Ask for the signal that has come to any rank, the same on all; None if to none. Every rank asks."""
    told = torch.tensor([number or 0])
    dist.all_reduce(told, op=dist.ReduceOp.MAX)
    return int(told) or None


def mean_of_ranks(values: Tensor) -> Tensor:
    """Take the mean over all ranks of a tensor of one shape on all. No device is waited for."""
    total = values.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def meet() -> None:
    """Wait for all ranks."""
    gathered(None)


def share_gradients(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    """Put the mean over all ranks in the place of each gradient. No device is waited for if all weights have one.

    Args:
        parameters: The same on every rank. A weight without a gradient counts as one of zeros, where another rank has
            one; a weight without a gradient on any rank is left without one, as in one process.
        loss: () loss of this rank.

    Returns:
        () mean of the losses.
    """
    trained = [p for p in parameters if p.requires_grad]
    lacking = [p for p in trained if p.grad is None]
    has_gradient = loss.new_ones(len(trained))
    if lacking:
        has_gradient = loss.new_tensor([float(p.grad is not None) for p in trained])
        for parameter in lacking:
            parameter.grad = torch.zeros_like(parameter)
    n_ranks = dist.get_world_size()
    for bucket in _buckets([p.grad for p in trained if p.grad is not None]):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        _copy_back(flat / n_ranks, bucket)
    shared = torch.cat([loss.detach().reshape(1), has_gradient])
    dist.all_reduce(shared)
    if lacking:  # only these ranks look, which waits for the device
        used = [p for p, n in zip(trained, shared[1:].tolist(), strict=True) if n > 0]
        kept = set(map(id, used))
        for parameter in lacking:
            parameter.grad = parameter.grad if id(parameter) in kept else None
    return shared[0] / n_ranks


def gathered(value: Any) -> list[Any]:
    """Collect plain data of every rank, in the order of the ranks.

    It travels as JSON, so that no rank runs what another sends.

    Args:
        value: What ``json`` writes.
    """
    data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(data)]))
    n_bytes = [int(size) for size in sizes]
    padded = torch.zeros(max(n_bytes), dtype=torch.uint8)
    padded[: len(data)] = data
    texts = [torch.empty_like(padded) for _ in n_bytes]
    dist.all_gather(texts, padded)
    return [parse_json(text[:n].numpy().tobytes()) for text, n in zip(texts, n_bytes, strict=True)]


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbouring tensors of one type, cut before they are too many bytes."""
    bucket: list[Tensor] = []
    n_bytes = 0
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        if bucket and (tensor.dtype != bucket[0].dtype or n_bytes + size > _BUCKET_BYTES):
            yield bucket
            bucket, n_bytes = [], 0
        bucket.append(tensor)
        n_bytes += size
    if bucket:
        yield bucket


def _copy_back(flat: Tensor, bucket: Sequence[Tensor]) -> None:
    first = 0
    for tensor in bucket:
        tensor.copy_(flat[first : first + tensor.numel()].view_as(tensor))
        first += tensor.numel()
