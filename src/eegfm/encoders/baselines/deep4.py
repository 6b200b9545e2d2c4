"""DeepConvNet without its classifier."""

from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import Timeline, TimeThenSpace, convolution_stages, xavier
from eegfm.encoders.baselines.config import Deep4Config
from eegfm.encoders.window_encoder import WindowEncoder

_N_BLOCKS = 4


class Deep4(WindowEncoder):
    """Four blocks of convolution and max pooling; the first one filters in time and space.

    Source: Schirrmeister et al. 2017 (arXiv 1703.05051), section 2.4.3 and figure 1.

    Args:
        config: Choices.
        spec: What the data decides.

    Raises:
        ConfigError: The data hold several montages or window lengths, or windows are too short.
    """

    def __init__(self, config: Deep4Config, spec: SignalSpec) -> None:
        time = Timeline(spec.rate_hz, config.design_rate_hz)
        sizes = [(time.kernel(config.kernel_samples), time.pool(config.pool_samples)) for _ in range(_N_BLOCKS)]
        widths = [config.n_filters * 2**k for k in range(_N_BLOCKS)]
        super().__init__(config, spec, widths[-1] * time.n_left_of(spec, config.name))
        momentum = config.batch_norm_momentum
        kernel, pool = sizes[0]
        filters = TimeThenSpace(self.montage.n_channels, widths[0], widths[0], kernel)
        blocks: list[nn.Module] = [filters, *_pooled(widths[0], pool, momentum)]
        for k in range(1, _N_BLOCKS):
            kernel, pool = sizes[k]
            blocks.append(nn.Dropout(config.dropout_ratio))
            blocks.append(nn.Conv1d(widths[k - 1], widths[k], kernel, bias=False))
            blocks.extend(_pooled(widths[k], pool, momentum))
        self.network = nn.Sequential(*blocks, nn.Flatten())
        xavier(self.network)

    def depth_layers(self) -> list[list[nn.Module]]:
        """List the convolutions behind the first, which is the embedding; see the base class."""
        return convolution_stages(self.network)[1:]

    def window_features(self, signal: Tensor) -> Tensor:
        """Maps of the last pooling, flattened; see the base class."""
        features: Tensor = self.network(signal)
        return features


def _pooled(n_maps: int, pool: int, momentum: float) -> tuple[nn.Module, ...]:
    return nn.BatchNorm1d(n_maps, momentum=momentum), nn.ELU(), nn.MaxPool1d(pool)
