"""Base class of the supervised baselines. Each turns a window into one feature vector.

Shapes: B windows, C channels, T samples, F filters, D width.
"""

import torch
from torch import Tensor, nn

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
        self._shortest_samples = 1

    def kernel(self, n_samples: int) -> int:
        """Samples of a kernel."""
        return max(1, round(n_samples * self._rate_hz / self._design_rate_hz))

    def pool(self, n_samples: int) -> int:
        """Samples of a pooling without overlap."""
        design_rate_behind_hz = self._design_rate_hz / n_samples
        factor = max(1, round(self._rate_hz / design_rate_behind_hz))
        self._rate_hz, self._design_rate_hz = self._rate_hz / factor, design_rate_behind_hz
        self._shortest_samples *= factor
        return factor

    def n_left_of(self, spec: SignalSpec, encoder: str) -> int:
        """Samples that all poolings leave of the data's windows.

        Raises:
            ConfigError: They leave none; the message says the shortest window.
        """
        n_samples, shortest = only_length(spec, encoder), self._shortest_samples
        if n_samples < shortest:
            raise ConfigError(
                f"encoder {encoder} needs windows of at least {shortest / self._signal_rate_hz:g} s ({shortest} "
                f"samples at {self._signal_rate_hz:g} Hz), the data's last {n_samples / self._signal_rate_hz:g} s; "
                "cut longer ones (cuts.*.length_s) or choose encoder patch_transformer"
            )
        return n_samples // shortest


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


def convolution_stages(network: nn.Sequential) -> list[list[nn.Module]]:
    """Split a network into its convolutions, each with all that follows it up to the next."""
    stages: list[list[nn.Module]] = []
    for module in network:
        if isinstance(module, nn.Conv1d | nn.Conv2d | SpatialFilters):
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
