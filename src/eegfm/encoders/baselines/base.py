"""Base class of the supervised baselines. Each turns a window into one feature vector.

Shapes: B windows, C channels, T samples, F filters, D width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from eegfm.batch import SignalSpec
from eegfm.encoders.montage import only_length
from eegfm.errors import ConfigError


class Timeline:
    """Lengths in time of a network's steps, given at the rate of its publication, for signals of another rate.

    A kernel keeps its duration, to the nearest sample. A pooling brings the signal as near as a whole factor can to
    the rate behind the same pooling of the publication, so that rounding does not add up over several.

    Args:
        rate_hz: Rate of the signal.
        design_rate_hz: Rate that lengths are given at; poolings lower both.
    """

    def __init__(self, rate_hz: float, design_rate_hz: float) -> None:
        self._signal_rate_hz = self._rate_hz = rate_hz
        self._design_rate_hz = design_rate_hz
        self._steps: list[tuple[int, int]] = []

    def padded_kernel(self, n_samples: int) -> int:
        """Samples of a kernel that keeps the length of the signal."""
        return max(1, round(n_samples * self._rate_hz / self._design_rate_hz))

    def kernel(self, n_samples: int) -> int:
        """Samples of a kernel that stays within the signal and so shortens it."""
        length = self.padded_kernel(n_samples)
        self._steps.append((length, 1))
        return length

    def pool(self, n_samples: int) -> int:
        """Samples of a pooling without overlap."""
        return self.overlapping_pool(n_samples, n_samples)[1]

    def overlapping_pool(self, n_samples: int, stride: int) -> tuple[int, int]:
        """Samples of a pooling, and from one pooled stretch to the next."""
        design_rate_behind_hz = self._design_rate_hz / stride
        factor = max(1, round(self._rate_hz / design_rate_behind_hz))
        length = factor if n_samples == stride else self.padded_kernel(n_samples)
        self._steps.append((length, factor))
        self._rate_hz, self._design_rate_hz = self._rate_hz / factor, design_rate_behind_hz
        return length, factor

    def n_left(self, n_samples: int) -> int:
        """Samples that are left of a signal behind all steps so far; 0 where it is too short."""
        for length, stride in self._steps:
            n_samples = (n_samples - length) // stride + 1 if n_samples >= length else 0
        return n_samples

    def n_left_of(self, spec: SignalSpec, encoder: str) -> int:
        """Samples that are left of the data's windows.

        Raises:
            ConfigError: None are; the message says the shortest window.
        """
        n_samples = only_length(spec, encoder)
        n_left = self.n_left(n_samples)
        if not n_left:
            shortest = 1
            for length, stride in reversed(self._steps):
                shortest = (shortest - 1) * stride + length
            raise ConfigError(
                f"encoder {encoder} needs windows of at least {shortest / self._signal_rate_hz:g} s ({shortest} "
                f"samples at {self._signal_rate_hz:g} Hz), the data's last {n_samples / self._signal_rate_hz:g} s; "
                "cut longer ones (cuts.*.length_s) or choose encoder patch_transformer"
            )
        return n_left


class SpatialFilters(nn.Module):
    """Several weighted sums of the channels for each temporal filter: a depthwise convolution over all channels.

    Args:
        n_channels: Channels C.
        n_temporal_filters: Maps F that come in.
        n_spatial_filters: Sums S for each.
        max_norm: Largest norm of one sum's weights; larger ones are scaled down to it before use.
    """

    def __init__(self, n_channels: int, n_temporal_filters: int, n_spatial_filters: int, max_norm: float) -> None:
        super().__init__()
        self.max_norm = max_norm
        self.weight = nn.Parameter(torch.empty(n_temporal_filters * n_spatial_filters, 1, n_channels))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, C, T) to (B, F * S, T), the sums of one temporal filter side by side."""
        weight = self.weight.renorm(p=2, dim=0, maxnorm=self.max_norm).view(x.shape[1], -1, x.shape[2])
        return (weight @ x).flatten(1, 2)


class TimeThenSpace(nn.Module):
    """A temporal filter bank on every channel, then spatial filters over all filters and channels, as one convolution.

    There is nothing between the two, so their weights multiply: the maps of single channels never exist.

    Args:
        n_channels: Channels C.
        n_temporal_filters: Filters F of the bank.
        n_spatial_filters: Maps S that come out.
        kernel_samples: Length K of a temporal filter.
    """

    def __init__(self, n_channels: int, n_temporal_filters: int, n_spatial_filters: int, kernel_samples: int) -> None:
        super().__init__()
        self.time_weight = nn.Parameter(torch.empty(n_temporal_filters, 1, kernel_samples))
        self.time_bias = nn.Parameter(torch.zeros(n_temporal_filters))
        self.space_weight = nn.Parameter(torch.empty(n_spatial_filters, n_temporal_filters, n_channels))
        nn.init.xavier_uniform_(self.time_weight)
        nn.init.xavier_uniform_(self.space_weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, S, T - K + 1)."""
        weight = torch.einsum("sfc,fk->sck", self.space_weight, self.time_weight.squeeze(1))
        return conv1d(x, weight, self.space_weight.sum(dim=2) @ self.time_bias)


def convolution_stages(network: nn.Sequential) -> list[list[nn.Module]]:
    """Split a network into its convolutions, each with all that follows it up to the next."""
    stages: list[list[nn.Module]] = []
    for module in network:
        if isinstance(module, nn.Conv1d | nn.Conv2d | SpatialFilters | TimeThenSpace):
            stages.append([])
        if stages:
            stages[-1].append(module)
    return stages


def same_padding(kernel_samples: int, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and behind a signal that keep its length; one more behind where they cannot be equal."""
    total = dilation * (kernel_samples - 1)
    return total // 2, total - total // 2


def xavier(network: nn.Module) -> None:
    """Draw the weights of all convolutions as the publications do (Glorot and Bengio 2010, AISTATS, equation 16)."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
