"""Backbones for tests of objectives, which begin at windows in microvolts, and normalized windows for encoders."""

from torch import Tensor

from eegfm.adapters.config import NoAdapterConfig
from eegfm.adapters.none import NoAdapter
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.inference.backbone import Backbone, Change
from eegfm.nn.rereference import Rereference
from eegfm.normalizations.config import NormalizationBase
from eegfm.normalizations.load import new_normalization
from eegfm.recording import Montage

ANY = Montage(("Cz",), ((0.0, 0.0, 0.1),), (True,), "average")


class PaddingAdapter(NoAdapter):
    """An adapter that says of windows, which are padded already, which channels are filled."""

    filled: Tensor | None = None

    def filled_channels(self, montage: str) -> Tensor | None:
        """The same for all montages."""
        return self.filled


class WindowBackbone(Backbone):
    """A backbone whose batches are windows in microvolts already."""

    def __init__(self, encoder: Encoder, spec: SignalSpec, normalization: NormalizationBase | None = None) -> None:
        adapter = PaddingAdapter(NoAdapterConfig(), spec)
        chosen = normalization or encoder.config.default_normalization
        super().__init__(
            Rereference(spec.montages, "as_recorded"), adapter, new_normalization(chosen, spec), encoder, spec
        )

    def prepare(self, batch: WindowBatch, change: Change | None = None) -> WindowBatch:
        """Normalize the windows."""
        normalized: WindowBatch = self.normalization(batch if change is None else change(batch))
        return normalized


def normalized(batch: WindowBatch, encoder: Encoder, choice: NormalizationBase | None = None) -> WindowBatch:
    """Windows in microvolts as the encoder takes them; with its own normalization if none is given."""
    chosen = choice or encoder.config.default_normalization
    spec = SignalSpec(encoder.rate_hz, {batch["montage"]: ANY}, {batch["montage"]: batch["signal"].shape[-1]})
    out: WindowBatch = new_normalization(chosen, spec)(batch)
    return out
