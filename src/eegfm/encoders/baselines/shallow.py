"""ShallowConvNet without its classifier."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import Timeline, TimeThenSpace
from eegfm.encoders.baselines.config import ShallowConfig
from eegfm.encoders.window_encoder import WindowEncoder

_LEAST_POWER = 1e-6


class Shallow(WindowEncoder):
    """Temporal and spatial filters, then the log of their mean power: filter bank common spatial patterns, learned.

    Source: Schirrmeister et al. 2017 (arXiv 1703.05051), section 2.4.4 and figure 2.

    Args:
        config: Choices.
        spec: What the data decides.

    Raises:
        ConfigError: The data hold several montages or window lengths, or windows are too short.
    """

    def __init__(self, config: ShallowConfig, spec: SignalSpec) -> None:
        time = Timeline(spec.rate_hz, config.design_rate_hz)
        kernel = time.kernel(config.kernel_samples)
        pool, stride = time.overlapping_pool(config.pool_samples, config.pool_stride_samples)
        S = config.n_spatial_filters
        super().__init__(config, spec, S * time.n_left_of(spec, config.name))
        self.filters = TimeThenSpace(self.montage.n_channels, config.n_temporal_filters, S, kernel)
        self.norm = nn.BatchNorm1d(S, momentum=config.batch_norm_momentum)
        self.pool = nn.AvgPool1d(pool, stride)
        self.dropout = nn.Dropout(config.dropout_ratio)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the only layer; see the base class."""
        return [[self.filters, self.norm]]

    def window_features(self, signal: Tensor) -> Tensor:
        """Log power of each filter and stretch, flattened; see the base class."""
        filtered = self.norm(self.filters(signal))
        # The log of a mean of squares: bfloat16 would round it to steps of several per cent of the power.
        power = self.pool(filtered.float().square())
        features: Tensor = self.dropout(power.clamp_min(_LEAST_POWER).log()).flatten(1)
        return features
