"""Base class of encoders that give features of a whole window and have no tokens."""

from abc import ABC, abstractmethod

from torch import Tensor

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder, absent_rows_zeroed
from eegfm.encoders.montage import check_batch, only_length, only_montage
from eegfm.encoders.tokens import Tokens, Visible
from eegfm.encoders.traits import WindowConfig
from eegfm.errors import ConfigError


class WindowEncoder(Encoder, ABC):
    """Base of encoders that give features of a whole window and no tokens.

    A channel is a row, and the whole window its only patch: ``tokenize`` hands the signal on as content
    (B, C, T), without positions, which none of these networks knows.

    Args:
        config: Choices.
        spec: Specification of the data, with one montage and one window length.
        d_model: Number of features D.

    Raises:
        ConfigError: The data hold several montages or window lengths.
    """

    def __init__(self, config: WindowConfig, spec: SignalSpec, d_model: int) -> None:
        n_samples = only_length(spec, config.name)
        super().__init__(
            config,
            spec,
            d_model=d_model,
            d_token=n_samples,
            patch_samples=n_samples,
        )
        self.config = config
        self.montage = only_montage(spec, config.name)

    @abstractmethod
    def window_features(self, signal: Tensor) -> Tensor:
        """(B, C, T) normalized signal, zero in channels that are only padding, to (B, D)."""

    def check_length(self, n_samples: int, montage: str) -> None:
        """Refuse windows of another length.

        Raises:
            ConfigError: The length is another than that of the data that the encoder was built for.
        """
        if n_samples != self.patch_samples:
            raise ConfigError(
                f"encoder {self.config.name} was built for windows of {self.patch_samples / self.rate_hz:g} s, those "
                f"of montage {montage} last {n_samples / self.rate_hz:g} s; cut them to that length "
                "(cuts.*.length_s), or choose encoder patch_transformer"
            )

    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Hand the signal on; see the class."""
        content = batch["signal"]
        _, C, T = content.shape
        check_batch(C, batch["montage"], self.montage, self.config.name)
        self.check_length(T, batch["montage"])
        return Tokens(content, content.new_zeros(()).expand(1, C, T), C, 1, self.key_mask(batch, 1))

    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Run the network; see the base class."""
        assert visible is None, "objectives ask the traits first"
        return self.window_features(absent_rows_zeroed(tokens)).unsqueeze(1)
