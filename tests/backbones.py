"""Backbones for tests of objectives, which begin at windows in microvolts."""

from torch import Tensor

from eegfm.adapters.config import NoAdapterConfig
from eegfm.adapters.none import NoAdapter
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.inference.backbone import Backbone
from eegfm.nn.rereference import Rereference


class PaddingAdapter(NoAdapter):
    """An adapter that says of windows, which are padded already, which channels are filled."""

    filled: Tensor | None = None

    def filled_channels(self, montage: str) -> Tensor | None:
        """The same for all montages."""
        return self.filled


class WindowBackbone(Backbone):
    """A backbone whose batches are windows already."""

    def __init__(self, encoder: Encoder, spec: SignalSpec) -> None:
        adapter = PaddingAdapter(NoAdapterConfig(), spec)
        super().__init__(Rereference(spec.montages, "as_recorded"), adapter, encoder, spec)

    def prepare(self, batch: WindowBatch) -> WindowBatch:
        """Give the windows as they are."""
        return batch
