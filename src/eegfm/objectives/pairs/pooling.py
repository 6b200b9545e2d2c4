"""One vector for each window, from the features of its channels.

Shapes: B windows, C channels, R rows of features, X features, S sites.
"""

from torch import Tensor, nn

from eegfm.batch import WindowBatch
from eegfm.encoders.base import Encoder, Features
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, embedded_channels

_N_FREQUENCIES, _D_POSITION = 4, 64
_SHARPNESS = 4.0  # without it, all sites of a fresh network are near the mean over all channels


class MeanPooling(nn.Module):
    """Mean over the rows of a window.

    Args:
        n_values: X.
    """

    def __init__(self, n_values: int) -> None:
        super().__init__()
        self.n_values = n_values

    def forward(self, features: Features, windows: WindowBatch) -> Tensor:
        """Pool features (B, R, X) to (B, X)."""
        return features.pooled


class SitePooling(nn.Module):
    """Means around S learned places of the scalp, side by side.

    Against the average reference the channels of a window add up to zero. So do linear features of them, and the mean
    over all channels loses what differs between places. The weights of a site depend on where electrodes are, and on
    nothing of the window. They add up to one, so that montages agree (compare the spatial attention of Defossez et al.
    2023, doi 10.1038/s42256-023-00714-5).

    Args:
        n_sites: S.
        n_features: X.
        channels_per_token: Neighbouring channels that share a row; the first one tells its place.
    """

    def __init__(self, n_sites: int, n_features: int, channels_per_token: int) -> None:
        super().__init__()
        self.n_values = n_sites * n_features
        self._channels_per_token = channels_per_token
        self.places = ElectrodeEmbedding(_N_FREQUENCIES, _D_POSITION)
        self.sites = nn.Linear(_D_POSITION, n_sites)

    def forward(self, features: Features, windows: WindowBatch) -> Tensor:
        """Pool features (B, R, X) to (B, S X)."""
        weights = self.weights(features, windows).to(features.values.dtype)
        return (weights.transpose(1, 2) @ features.values).flatten(1)

    def weights(self, features: Features, windows: WindowBatch) -> Tensor:
        """(B, R, S) weights of the rows at each site; zero for rows of padding."""
        places = embedded_channels(self.places, windows)[:, :: self._channels_per_token]
        logits = _SHARPNESS * self.sites(places).float()
        there = features.mask.unsqueeze(-1)
        shares: Tensor = logits.masked_fill(~there, -1e9).softmax(dim=1)
        return shares


def new_pooling(n_sites: int, encoder: Encoder) -> MeanPooling | SitePooling:
    """Build the pooling of an encoder's features; encoders with one row for a window have nothing to pool."""
    if n_sites and encoder.has_rows:
        return SitePooling(n_sites, encoder.d_model, encoder.channels_per_token)
    return MeanPooling(encoder.d_model)
