"""Adapter that changes nothing, for encoders that take any channels at any positions."""

from eegfm.adapters.base import Adapter
from eegfm.adapters.config import NoAdapterConfig
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.recording import Montage


class NoAdapter(Adapter):
    """Leave windows as they are.

    Args:
        config: Nothing to choose.
        spec: Specification of the data.
    """

    def __init__(self, config: NoAdapterConfig, spec: SignalSpec) -> None:
        super().__init__()

    def forward(self, batch: WindowBatch) -> WindowBatch:
        """The same batch."""
        return batch

    def adapted(self, montage: Montage) -> Montage:
        """The same channels."""
        return montage
