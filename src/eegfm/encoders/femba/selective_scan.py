"""The selective scan of Mamba: a linear recurrence whose decay and input depend on the signal.

Shapes: B windows, L steps, D channels of the scan, S numbers of state per channel.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import silu, softplus

from eegfm.errors import ConfigError

CHUNK = 16  # steps whose states are in memory at once

ScanChoice = Literal["auto", "torch", "mamba_ssm"]
Kernel = Callable[..., Tensor]

_logger = logging.getLogger(__name__)


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    *,
    chunk: int = CHUNK,
) -> Tensor:
    """Run h_t = exp(Δ_t A) h_{t-1} + Δ_t B_t x_t and give (C_t h_t + D x_t) silu(z_t), with Δ = softplus(delta + bias).

    At least float32 inside, also under autocast. States of ``chunk`` steps are held at once, in the forward and in the
    backward pass, which computes them again.

    Source: Mamba (arXiv 2312.00752), section 3.2 and algorithm 2.

    Args:
        x: (B, L, D) input.
        delta: (B, L, D) step sizes before the bias and softplus.
        A: (D, S) decay rates, negative.
        B: (B, L, S) how the input enters the state.
        C: (B, L, S) how the state is read.
        D: (D) skip connection.
        z: (B, L, D) gate.
        delta_bias: (D).
        chunk: Steps that are computed together, in parallel.

    Returns:
        (B, L, D) in the precision of ``x``.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    u, step = x.to(wide), softplus(delta.to(wide) + delta_bias)
    y = _chunked_scan(u, step, A.to(wide), B.to(wide), C.to(wide), chunk)
    return ((y + D * u) * silu(z.to(wide))).to(x.dtype)


def kernel_scan(
    kernel: Kernel, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, z: Tensor, delta_bias: Tensor
) -> Tensor:
    """Compute what ``selective_scan`` does with mamba_ssm's fused kernel, which wants time last."""
    x, delta, B, C, z = (t.transpose(1, 2) for t in (x, delta, B, C, z))
    y = kernel(x, delta, A, B, C, D.float(), z=z, delta_bias=delta_bias.float(), delta_softplus=True)
    return y.transpose(1, 2)


def load_kernel(choice: ScanChoice) -> Kernel | None:
    """Find mamba_ssm's ``selective_scan_fn`` where it is wanted; None where the scan is to run in plain torch.

    Args:
        choice: ``auto`` takes it when there is a GPU and the package can be imported.

    Raises:
        ConfigError: ``mamba_ssm`` is asked for and cannot be imported.
    """
    if choice == "torch" or (choice == "auto" and not torch.cuda.is_available()):
        return None
    try:
        kernel: Kernel = import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    except ImportError as error:
        reason = str(error).partition("\n")[0]
        if choice == "mamba_ssm":
            raise ConfigError(
                f"encoder.scan is mamba_ssm, which cannot be imported ({reason}); install it on a machine with a GPU "
                "and the CUDA compiler (pip install --no-build-isolation mamba-ssm), or set encoder.scan: torch"
            ) from error
        if not isinstance(error, ModuleNotFoundError):
            _logger.warning("mamba_ssm is installed but cannot be imported (%s); the scan runs in plain torch", reason)
        return None
    return kernel


class _ChunkedScan(torch.autograd.Function):
    """y_t = C_t h_t with h_t = exp(Δ_t A) h_{t-1} + Δ_t x_t B_t and h_0 = 0, a chunk of time after the other.

    Saved for the backward pass: the inputs, and the state that each chunk starts from.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
        n_chunks = -(-x.shape[1] // chunk)
        starts = x.new_zeros(n_chunks + 1, x.shape[0], *A.shape)
        y = torch.empty_like(x)
        for k in range(n_chunks):
            now = slice(k * chunk, (k + 1) * chunk)
            decay, state = _terms(x[:, now], delta[:, now], A, B[:, now], starts[k])
            scan_(decay, state)
            starts[k + 1] = state[:, -1]
            y[:, now] = state.mul_(C[:, now].unsqueeze(2)).sum(-1)
        ctx.save_for_backward(x, delta, A, B, C, starts)
        ctx.chunk = chunk
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        x, delta, A, B, C, starts = ctx.saved_tensors
        grads = tuple(torch.empty_like(t) for t in (x, delta, B, C))
        grad_A, later = torch.zeros_like(A), torch.zeros_like(starts[0])
        with torch.autocast(x.device.type, enabled=False):
            for k in reversed(range(len(starts) - 1)):
                now = slice(k * ctx.chunk, (k + 1) * ctx.chunk)
                inputs = (x[:, now], delta[:, now], A, B[:, now], C[:, now])
                parts, grad_A_part, later = _chunk_gradients(inputs, starts[k], grad_y[:, now], later)
                grad_A += grad_A_part
                for grad, part in zip(grads, parts, strict=True):
                    grad[:, now] = part
        grad_x, grad_delta, grad_B, grad_C = grads
        return grad_x, grad_delta, grad_A, grad_B, grad_C, None


_chunked_scan: Callable[..., Tensor] = _ChunkedScan.apply


def _terms(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Decay and input of each step, (B, L, D, S) each; the state before the first step enters with its input."""
    decay = (delta.unsqueeze(-1) * A).exp_()
    values = (delta * x).unsqueeze(-1) * B.unsqueeze(2)
    values[:, 0].addcmul_(decay[:, 0], start)
    return decay, values


def _chunk_gradients(
    inputs: tuple[Tensor, ...], start: Tensor, grad_y: Tensor, later: Tensor
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Gradients within one chunk.

    With G_t the gradient of h_t, the next step passes on U_t = exp(Δ_t A) G_t, so that G_t = C_t dy_t + U_{t+1}: the
    same recurrence backwards in time, U_t = exp(Δ_t A) (C_t dy_t + U_{t+1}). The gradient of Δ_t A is U_t h_{t-1}.

    Args:
        inputs: x, Δ, A, B, C.
        start: (B, D, S) state before the chunk.
        grad_y: (B, L, D).
        later: (B, D, S) U of the step behind the chunk.

    Returns:
        Gradients of x, Δ, B, C; that of A; U of the chunk's first step.
    """
    x, delta, A, B, C = inputs
    decay, state = _terms(x, delta, A, B, start)
    scan_(decay.clone(), state)
    grad_C = (grad_y.unsqueeze(2) @ state).squeeze(2)

    grad_state = grad_y.unsqueeze(-1) * C.unsqueeze(2)
    grad_state[:, -1] += later
    passed = decay * grad_state
    scan_(decay, passed, reverse=True)
    grad_state[:, :-1] += passed[:, 1:]
    first = passed[:, 0].clone()

    grad_B = ((delta * x).unsqueeze(2) @ grad_state).squeeze(2)
    grad_input = grad_state.mul_(B.unsqueeze(2)).sum(-1)  # of Δ x
    passed[:, 1:] *= state[:, :-1]
    passed[:, 0] *= start
    grad_delta = x * grad_input + (passed * A).sum(-1)
    grad_A = passed.mul_(delta.unsqueeze(-1)).sum((0, 1))
    return (delta * grad_input, grad_delta, grad_B, grad_C), grad_A, first


def scan_(decay: Tensor, values: Tensor, *, reverse: bool = False) -> None:
    """Turn values into h_t = decay_t h_{t-1} + values_t along dimension 1, in place, in about 2 log2(L) parallel steps.

    Only products of decays and sums occur, nothing is divided: what has decayed to zero is zero. A work-efficient
    prefix sum over pairs (decay, value): Blelloch, "Prefix sums and their applications" (1990), section 1.4.

    Args:
        decay: (B, L, ...); overwritten with intermediate results.
        values: (B, L, ...); becomes h.
        reverse: From the last step to the first: h_t = decay_t h_{t+1} + values_t.
    """
    L = values.shape[1]
    distances = [2**k for k in range(L.bit_length() - 1)]
    for distance in distances:
        ahead, behind = _pairs(2 * distance - 1, distance, L, reverse=reverse)
        values[:, ahead].addcmul_(decay[:, ahead], values[:, behind])
        decay[:, ahead] *= decay[:, behind]
    for distance in reversed(distances):
        if 3 * distance <= L:
            ahead, behind = _pairs(3 * distance - 1, distance, L, reverse=reverse)
            values[:, ahead].addcmul_(decay[:, ahead], values[:, behind])


def _pairs(first: int, distance: int, n_steps: int, *, reverse: bool) -> tuple[slice, slice]:
    """Every second multiple of a distance from ``first`` on, and the steps that lie the distance behind each."""
    last = first + (n_steps - 1 - first) // (2 * distance) * 2 * distance
    if reverse:
        first, last, distance = n_steps - 1 - last, n_steps - 1 - first, -distance
    stride = 2 * abs(distance)
    return slice(first, last + 1, stride), slice(first - distance, last - distance + 1, stride)
