"""Tensors per montage, such as positions and matrices."""

from collections.abc import Iterable

from torch import Tensor, nn

from eegfm.errors import ConfigError


class MontageTensors(nn.Module):
    """Tensors by montage. They move with the module that holds them and are never saved.

    Args:
        montages: Names of the montages that can occur.
    """

    def __init__(self, montages: Iterable[str]) -> None:
        super().__init__()
        # Names of montages hold characters that names of buffers may not.
        self._slots = {name: k for k, name in enumerate(sorted(montages))}

    def put(self, montage: str, what: str, tensor: Tensor) -> None:
        """Keep a tensor."""
        self.register_buffer(f"{what}_{self._slots[montage]}", tensor, persistent=False)

    def get(self, montage: str, what: str) -> Tensor:
        """Return the tensor, on the module's device.

        Raises:
            ConfigError: The montage is not among those given.
        """
        if montage not in self._slots:
            raise ConfigError(f"montage {montage} is not prepared; prepared montages: {sorted(self._slots)}")
        return self.get_buffer(f"{what}_{self._slots[montage]}")
