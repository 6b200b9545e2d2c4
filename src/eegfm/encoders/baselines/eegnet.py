"""EEGNet without its classifier."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import SpatialFilters, Timeline, convolution_stages, same_padding, xavier
from eegfm.encoders.baselines.config import EegnetConfig
from eegfm.encoders.window_encoder import WindowEncoder

_EPS = 1e-3  # Keras' default, which the published code leaves as it is


class Eegnet(WindowEncoder):
    """EEGNet-8,2: temporal filters, spatial filters for each, a separable convolution.

    Source: Lawhern et al. 2018 (arXiv 1611.08024), section 2.2.1 and table 2.

    Args:
        config: Choices.
        spec: Specification of the data.

    Raises:
        ConfigError: The data hold several montages or window lengths, or windows are too short.
    """

    def __init__(self, config: EegnetConfig, spec: SignalSpec) -> None:
        time = Timeline(spec.rate_hz, config.design_rate_hz)
        kernel, first_pool = time.kernel(config.kernel_samples), time.pool(config.first_pool_samples)
        late_kernel = time.kernel(config.separable_kernel_samples)
        late_pool = time.pool(config.second_pool_samples)
        F1, F2 = config.n_temporal_filters, config.n_pointwise_filters
        M = F1 * config.n_spatial_filters
        super().__init__(config, spec, F2 * time.n_left_of(spec, config.name))
        momentum, dropout = config.batch_norm_momentum, config.dropout_ratio
        self.network = nn.Sequential(
            nn.ZeroPad2d((*same_padding(kernel), 0, 0)),
            nn.Conv2d(1, F1, (1, kernel), bias=False),
            nn.BatchNorm2d(F1, eps=_EPS, momentum=momentum),
            SpatialFilters(self.montage.n_channels, F1, config.n_spatial_filters, config.max_norm),
            nn.BatchNorm1d(M, eps=_EPS, momentum=momentum),
            nn.ELU(),
            nn.AvgPool1d(first_pool),
            nn.Dropout(dropout),
            nn.ZeroPad1d(same_padding(late_kernel)),
            nn.Conv1d(M, M, late_kernel, groups=M, bias=False),
            nn.Conv1d(M, F2, 1, bias=False),
            nn.BatchNorm1d(F2, eps=_EPS, momentum=momentum),
            nn.ELU(),
            nn.AvgPool1d(late_pool),
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
