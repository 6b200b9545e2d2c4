"""One vector for each window, from the features of its channels.

Shapes: B windows, C channels, R rows of features, X features, S sites, G channels of a row.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from eegfm.batch import WindowBatch, padding_mask
from eegfm.encoders.base import Encoder, Features
from eegfm.nn.electrode_embedding import ElectrodeEmbedding, embedded_channels, shared_positions

_N_FREQUENCIES, _D_POSITION = 4, 64
_N_SITES = 8
_SHARPNESS = 4.0  # without it, all sites of a fresh network are near the mean over all channels


class SitePooling(nn.Module):
    """Means around S learned places of the scalp, side by side.

    Against the average reference the channels of a window add up to zero. So do linear features of them, and the mean
    over all channels loses what differs between places. The weights of a site depend on where electrodes are, and on
    nothing of the window. They add up to one, so that montages agree (compare the spatial attention of Defossez et al.
    2023, doi 10.1038/s42256-023-00714-5).

    Args:
        n_sites: S.
        n_features: X.
        channels_per_token: G. The place of a row is the mean over its channels that have signal.
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
        places = embedded_channels(self.places, _with_row_places(windows, self._channels_per_token))
        logits = _SHARPNESS * self.sites(places).float()
        there = features.mask.unsqueeze(-1)
        shares: Tensor = logits.masked_fill(~there, -1e9).softmax(dim=1)
        return shares


def new_pooling(n_sites: int | None, encoder: Encoder) -> SitePooling | None:
    """Build the pooling of an encoder's features; None where the mean over rows serves, or a window has one row."""
    if n_sites == 0 or not encoder.has_rows:
        return None
    return SitePooling(n_sites or _N_SITES, encoder.d_model, encoder.channels_per_token)


def _with_row_places(windows: WindowBatch, n_grouped: int) -> WindowBatch:
    """Return windows with the places of rows instead of those of channels."""
    if n_grouped == 1:
        return windows
    is_there = padding_mask(windows)
    of_rows: WindowBatch = {
        **windows,
        "channel_positions": _row_means(windows["channel_positions"], is_there, n_grouped),
    }
    if "second_positions" in windows:
        of_rows["second_positions"] = _row_means(windows["second_positions"], is_there, n_grouped)
    return of_rows


def _row_means(positions_m: Tensor, is_there: Tensor | None, n_grouped: int) -> Tensor:
    """(B, R, 3) means of (B, C, 3) over the channels of each row that are there; (1, R, 3) where windows share them."""
    if is_there is None:
        positions_m = shared_positions(positions_m)
        is_there = positions_m.new_ones(positions_m.shape[:2], dtype=torch.bool)
    fill = -positions_m.shape[1] % n_grouped
    weights = pad(is_there, (0, fill)).reshape(len(is_there), -1, n_grouped, 1)
    grouped_m = pad(positions_m, (0, 0, 0, fill)).reshape(len(positions_m), -1, n_grouped, 3)
    means_m: Tensor = (grouped_m * weights).sum(dim=2) / weights.sum(dim=2).clamp_min(1)
    return means_m
