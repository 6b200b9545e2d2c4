"""The Mamba block: a causal convolution and a selective scan between two projections."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from eegfm.encoders.femba.selective_scan import ScanChoice, kernel_scan, load_kernel, selective_scan
from eegfm.errors import ConfigError

_DELTA_RANGE = (1e-3, 1e-1)  # of Δ at the start


class Mamba(nn.Module):
    """One direction of a Mamba block (arXiv 2312.00752, section 3.4), initialised as published.

    A_log, D and the bias of Δ are not decayed in training: pulling them to zero sets a rate of decay, not a weight.

    Args:
        d_model: Width of the sequence.
        d_state: Numbers of state per channel of the scan.
        d_conv: Steps that the causal convolution looks at.
        expand: Channels of the scan over ``d_model``.
        scan: Implementation of the scan, see ``eegfm.encoders.femba.selective_scan.load_kernel``.

    Raises:
        ConfigError: ``mamba_ssm`` is asked for and cannot be imported.
    """

    no_weight_decay: ClassVar[tuple[str, ...]] = ("decay_log",)

    def __init__(
        self, d_model: int, *, d_state: int = 16, d_conv: int = 4, expand: int = 2, scan: ScanChoice = "auto"
    ) -> None:
        super().__init__()
        d_inner, self.d_state, self.rank = expand * d_model, d_state, math.ceil(d_model / 16)
        self.input_projection = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.convolution = nn.Conv1d(d_inner, d_inner, d_conv, groups=d_inner, padding=d_conv - 1)
        self.selection_projection = nn.Linear(d_inner, self.rank + 2 * d_state, bias=False)
        self.delta_projection = nn.Linear(self.rank, d_inner)
        self.decay_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(d_inner, 1))
        self.skip = nn.Parameter(torch.ones(d_inner))
        self.output_projection = nn.Linear(d_inner, d_model, bias=False)
        self._init_delta()
        self.scan = scan
        self.kernel = load_kernel(scan)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, L, d_model) along L; step t sees itself and what is before it."""
        x, gate = self.input_projection(x).chunk(2, dim=-1)
        x = silu(self.convolution(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        selection = self.selection_projection(x).split((self.rank, self.d_state, self.d_state), dim=-1)
        # The bias of Δ is added in float32, by the scan.
        delta = linear(selection[0], self.delta_projection.weight)
        A = -self.decay_log.exp()
        y = self._scan(x, delta, A, *selection[1:], self.skip, gate, self.delta_projection.bias)
        mixed: Tensor = self.output_projection(y)
        return mixed

    def _scan(self, x: Tensor, *others: Tensor) -> Tensor:
        if self.kernel is not None and _on_gpu(x):
            return kernel_scan(self.kernel, x, *others)
        if self.scan == "mamba_ssm":
            raise ConfigError(
                f"encoder.scan is mamba_ssm, which runs on a GPU, and the windows are on the {x.device.type}; set "
                "encoder.scan: auto, which runs anywhere"
            )
        return selective_scan(x, *others)

    def _init_delta(self) -> None:
        """Draw the weights of Δ such that Δ begins log-uniform in its range at every channel (section 3.6)."""
        bound = self.rank**-0.5
        nn.init.uniform_(self.delta_projection.weight, -bound, bound)
        low, high = (math.log(value) for value in _DELTA_RANGE)
        delta = torch.empty_like(self.delta_projection.bias).uniform_(low, high).exp()
        with torch.no_grad():
            self.delta_projection.bias.copy_(delta + torch.log(-torch.expm1(-delta)))  # softplus undone


def _on_gpu(x: Tensor) -> bool:
    return x.is_cuda
