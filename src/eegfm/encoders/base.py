"""What every encoder offers: windows become tokens, tokens become contextual tokens."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from torch import Tensor, nn

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.errors import ConfigError


@dataclass(frozen=True)
class Tokens:
    """One window's patches as vectors, channel by channel: token n is channel n // P, patch n % P.

    What a patch holds and where it lies are kept apart, so that an objective can hide the first and keep the
    second.

    Args:
        content: (B, N, D) what the signal is.
        position: (B, N, D), or (1, N, D) when the whole batch shares it: where the electrode sits.
        n_channels: Channels C.
        n_patches: Patches per channel P; N = C * P.
        channel_mask: (B, C), False for a channel that is only padding: no other token sees its tokens. None where
            no channel is.
    """

    content: Tensor
    position: Tensor
    n_channels: int
    n_patches: int
    channel_mask: Tensor | None = None

    def with_content(self, content: Tensor) -> "Tokens":
        """Tokens at the same places with other content (B, N, D)."""
        return replace(self, content=content)


class Encoder(nn.Module, ABC):
    """Base of all encoders.

    Args:
        spec: What the data decides. Montages are checked here and need not recur later: an encoder takes any
            number of channels at any positions.
        d_model: Width D of a token.
        patch_s: Length of a patch.
        signal_scale_uv: Microvolts that count as 1 inside.

    Raises:
        ConfigError: Patches are not whole samples, or a window is not whole patches.
    """

    def __init__(self, spec: SignalSpec, *, d_model: int, patch_s: float, signal_scale_uv: float) -> None:
        super().__init__()
        self.d_model = d_model
        self.rate_hz = spec.rate_hz
        self.patch_samples = whole_samples(patch_s, spec.rate_hz)
        self.signal_scale_uv = signal_scale_uv
        for montage, n_samples in spec.n_samples.items():
            self.check_length(n_samples, montage)

    @abstractmethod
    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Cut (B, C, T) windows into patches and embed each on its own."""

    @abstractmethod
    def encode(self, tokens: Tokens) -> Tensor:
        """Let tokens see each other, but none those of padded channels: (B, N, D)."""

    def forward(self, batch: WindowBatch) -> Tensor:
        """Encode windows: (B, C, T) microvolts to (B, N, D)."""
        return self.encode(self.tokenize(batch))

    def check_length(self, n_samples: int, montage: str) -> None:
        """Refuse windows that are not whole patches.

        Raises:
            ConfigError: The length is not a positive multiple of the patch.
        """
        if n_samples < 1 or n_samples % self.patch_samples:
            patch_s = self.patch_samples / self.rate_hz
            raise ConfigError(
                f"windows of montage {montage} last {n_samples / self.rate_hz:g} s, which is not a whole number "
                f"of {patch_s:g}-s patches; change the cut's length_s (cuts.*.length_s) or encoder.patch_s"
            )

    def patches(self, batch: WindowBatch) -> Tensor:
        """(B, C, P, patch) view of the windows, in microvolts.

        Raises:
            ConfigError: A window is not whole patches.
        """
        signal = batch["signal"]
        B, C, T = signal.shape
        self.check_length(T, batch["montage"])
        return signal.view(B, C, T // self.patch_samples, self.patch_samples)


def whole_samples(duration_s: float, rate_hz: float) -> int:
    """Samples in a duration.

    Raises:
        ConfigError: It is not a whole, positive number of samples.
    """
    n_samples = round(duration_s * rate_hz)
    if n_samples < 1 or abs(n_samples - duration_s * rate_hz) > 1e-6:
        nearest_s = max(n_samples, 1) / rate_hz
        raise ConfigError(
            f"encoder.patch_s {duration_s:g} is {duration_s * rate_hz:g} samples at {rate_hz:g} Hz; "
            f"a patch is whole samples, nearest: {nearest_s:g}"
        )
    return n_samples
