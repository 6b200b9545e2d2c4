"""Base class of channel adapters."""

from abc import ABC, abstractmethod
from dataclasses import replace

from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.errors import ConfigError
from eegfm.recording import Montage
from eegfm.signal.montages.bipolar import is_bipolar


class Adapter(nn.Module, ABC):
    """Base of all adapters. They stand between ``Rereference`` and the encoder; their weights are trained with it.

    What follows from the montages (matrices, places) is a buffer that is not persistent: the state dict holds weights
    only, and is the same whichever montages an adapter is built for.
    """

    @abstractmethod
    def forward(self, batch: WindowBatch) -> WindowBatch:
        """Adapt one batch of one montage.

        Raises:
            ConfigError: The batch's montage is not among those that the adapter was built for.
        """

    @abstractmethod
    def adapted(self, montage: Montage) -> Montage:
        """The channels that come out for windows of this montage."""

    def adapted_spec(self, spec: SignalSpec) -> SignalSpec:
        """Specification of the data after this adapter, for an encoder. Montages keep their names."""
        return replace(spec, montages={name: self.adapted(montage) for name, montage in spec.montages.items()})

    def filled_channels(self, montage: str) -> Tensor | None:
        """(C,) bool, False for channels that windows of this montage never fill; None where they fill all."""
        return None

    def check_patches(self, patch_samples: int) -> None:
        """Refuse an encoder whose patches this adapter would mix with their neighbours.

        Raises:
            ConfigError: It would.
        """


def refuse_derivations(spec: SignalSpec, adapter: str) -> None:
    """Refuse montages of bipolar derivations: these have no potential of their own at any one place.

    Raises:
        ConfigError: There is one.
    """
    for name, montage in spec.montages.items():
        if is_bipolar(montage):
            raise ConfigError(
                f"adapter {adapter} takes electrodes, montage {name} holds bipolar derivations such as "
                f"{montage.channel_names[0]}; set reference: average, or adapter.name: none"
            )
