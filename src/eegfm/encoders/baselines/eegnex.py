"""EEGNeX without its classifier."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import SpatialFilters, Timeline, convolution_stages, same_padding, xavier
from eegfm.encoders.baselines.config import EegnexConfig
from eegfm.encoders.window_encoder import WindowEncoder

_EPS = 1e-3  # Keras' default, as in EEGNet
_DILATIONS = (2, 4)


class Eegnex(WindowEncoder):
    """EEGNeX-8,32: two temporal filter banks, spatial filters for each map, two dilated convolutions.

    Source: Chen et al. 2024 (arXiv 2207.12369), section 3 and figure 5.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The data hold several montages or window lengths, or windows are too short.
    """

    def __init__(self, config: EegnexConfig, spec: SignalSpec) -> None:
        time = Timeline(spec.rate_hz, config.design_rate_hz)
        kernel, first_pool = time.kernel(config.kernel_samples), time.pool(config.first_pool_samples)
        late_kernel = time.kernel(config.dilated_kernel_samples)
        second_pool = time.pool(config.second_pool_samples)
        super().__init__(config, spec, config.n_first_filters * time.n_left_of(spec, config.name))
        few, many, S = config.n_first_filters, config.n_filters, config.n_spatial_filters
        momentum, dropout = config.batch_norm_momentum, config.dropout_ratio
        self.network = nn.Sequential(
            *_filter_bank(1, few, kernel, momentum),
            *_filter_bank(few, many, kernel, momentum),
            SpatialFilters(self.montage.n_channels, many, S, config.max_norm),
            nn.BatchNorm1d(many * S, eps=_EPS, momentum=momentum),
            nn.ELU(),
            nn.AvgPool1d(first_pool),
            nn.Dropout(dropout),
            *_dilated(many * S, many, late_kernel, _DILATIONS[0], momentum),
            *_dilated(many, few, late_kernel, _DILATIONS[1], momentum),
            nn.ELU(),
            nn.AvgPool1d(second_pool),
            nn.Dropout(dropout),
            nn.Flatten(),
        )
        xavier(self.network)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the convolutions behind the first, which is the embedding; see the base class."""
        return convolution_stages(self.network)[1:]

    def window_features(self, signal: Tensor) -> Tensor:
        """Maps of the last pooling, flattened; see the base class."""
        features: Tensor = self.network(signal.unsqueeze(1))
        return features


def _filter_bank(n_in: int, n_out: int, kernel: int, momentum: float) -> tuple[nn.Module, ...]:
    return (
        nn.ZeroPad2d((*same_padding(kernel), 0, 0)),
        nn.Conv2d(n_in, n_out, (1, kernel), bias=False),
        nn.BatchNorm2d(n_out, eps=_EPS, momentum=momentum),
    )


def _dilated(n_in: int, n_out: int, kernel: int, dilation: int, momentum: float) -> tuple[nn.Module, ...]:
    return (
        nn.ZeroPad1d(same_padding(kernel, dilation)),
        nn.Conv1d(n_in, n_out, kernel, dilation=dilation, bias=False),
        nn.BatchNorm1d(n_out, eps=_EPS, momentum=momentum),
    )
