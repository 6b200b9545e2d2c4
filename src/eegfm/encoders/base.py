"""Base class of encoders: ``tokenize`` makes tokens of windows, ``encode`` makes contextual vectors of tokens."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from eegfm.batch import SignalSpec, WindowBatch, padding_mask
from eegfm.encoders.decoders import LinearDecoder, TokenDecoder
from eegfm.encoders.tokens import Tokens, Visible, take
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError

_LINEAR = (nn.Linear, NonDynamicallyQuantizableLinear)
"""Maps that do what their weight says: other subclasses may constrain it. The second projects in torch's attention."""


@dataclass(frozen=True)
class Features:
    """Features of windows from an encoder, for probes and heads.

    Args:
        values: (B, R, X) X features of each of R rows: channels, or one row for the whole window.
        mask: (B, R) bool, False for a row that is only padding.
        token_rows: (B, R') bool, False for a row of tokens that is only padding, where the features are those of a
            token that stands for the whole window; None where the features have a row for each row of tokens.
    """

    values: Tensor
    mask: Tensor
    token_rows: Tensor | None = None

    @property
    def pooled(self) -> Tensor:
        """(B, X) mean over the rows that are there."""
        weights = self.mask.unsqueeze(-1).to(self.values.dtype)
        return (self.values * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)


class Encoded(NamedTuple):
    """Encoded windows.

    Args:
        vectors: Result of ``Encoder.encode``: (B, N, D) of tokens, (B, P, D) of patches or (B, 1, D) of windows.
        features: Features for probes and heads.
    """

    vectors: Tensor
    features: Features


class Encoder(nn.Module, ABC):
    """Base of all encoders.

    ``positional_tables`` names weights with an entry for each place in time, which may be stretched when foreign
    weights are loaded.

    Args:
        config: The choices; its traits say what the encoder can do, see ``eegfm.encoders.traits``.
        spec: Specification of the data. An encoder with the trait ``one_montage`` is tied to it; all others take any
            number of channels at any positions later.
        d_model: Width D of an encoded vector.
        patch_samples: Samples of a patch.
        d_token: Width of a token before it is encoded; that of an encoded vector if not given.
        channels_per_token: Neighbouring channels that share a token.

    Raises:
        ConfigError: A window is not whole patches.
    """

    positional_tables: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: EncoderConfig,
        spec: SignalSpec,
        *,
        d_model: int,
        patch_samples: int,
        d_token: int | None = None,
        channels_per_token: int = 1,
    ) -> None:
        super().__init__()
        self.name, self.traits = config.name, config.traits
        self.leaks, self.sight, self.has_rows = config.leaks, config.sight, config.has_rows
        self.d_model = d_model
        self.d_token = d_token or d_model
        self.rate_hz = spec.rate_hz
        self.patch_samples = patch_samples
        self.channels_per_token = channels_per_token
        for montage, n_samples in spec.n_samples.items():
            self.check_length(n_samples, montage)

    @abstractmethod
    def tokenize(self, batch: WindowBatch) -> Tokens:
        """Cut (B, C, T) windows into patches and embed each: on its own, unless ``leaks`` names a choice."""

    def tokenize_visible(self, batch: WindowBatch, visible: Visible) -> Tokens:
        """Cut windows into patches and embed those that are visible, for ``encode`` with the same ``visible``.

        Here all are embedded. An encoder that embeds each patch on its own leaves the others out.
        """
        return self.tokenize(batch)

    @abstractmethod
    def encode(self, tokens: Tokens, visible: Visible | None = None) -> Tensor:
        """Let tokens see each other, but none that ``tokens.key_mask`` marks as absent.

        Args:
            tokens: Tokens of all patches.
            visible: Those that are encoded and seen; all if not given. Only with the trait ``supports_visible``.

        Returns:
            (B, N, D) or (B, Nv, D) where the trait ``output`` is ``tokens``, in the order of the tokens;
            (B, P, D) where it is ``patches``; (B, 1, D) where it is ``window``.
        """

    @abstractmethod
    def depth_layers(self) -> list[list[nn.Module]]:
        """List the modules of each layer in the order of computation; the last norm is in the last layer.

        The first module of a layer receives what the layers before it and the embeddings compute. Whatever is in no
        layer is an embedding.
        """

    def depth_groups(self) -> list[list[nn.Parameter]]:
        """Group all parameters by depth, for learning rates that fall with depth: embeddings, then layer by layer.

        Every parameter is in exactly one group.
        """
        layers = [[p for module in modules for p in module.parameters()] for modules in self.depth_layers()]
        in_layers = {id(parameter) for layer in layers for parameter in layer}
        return [[p for p in self.parameters() if id(p) not in in_layers], *layers]

    def lora_targets(self) -> dict[str, nn.Linear]:
        """Find, by dotted name, the linear maps of attention and feed-forward parts whose weights LoRA can change.

        Whether the encoder calls a map or reads its weight does not matter, see ``eegfm.nn.lora``. There are none where
        layers convolve only.
        """
        inside = {id(part) for block in self.lora_blocks() for part in block.modules()}
        return {
            name: part
            for name, part in self.named_modules()
            if isinstance(part, nn.Linear) and type(part) in _LINEAR and id(part) in inside
        }

    def lora_blocks(self) -> list[nn.Module]:
        """List the modules in which ``lora_targets`` looks: the layers."""
        return [module for modules in self.depth_layers() for module in modules]

    def forward(self, batch: WindowBatch) -> Tensor:
        """Encode windows: (B, C, T) normalized signals to encoded vectors, see ``encode``."""
        return self.encode(self.tokenize(batch))

    def features(self, batch: WindowBatch) -> Features:
        """Encode windows and average over time: one row per channel where the encoder tells channels apart."""
        return self.encode_with_features(batch).features

    def encode_with_features(self, batch: WindowBatch, tokens: Tokens | None = None) -> Encoded:
        """Return the results of ``forward`` and ``features``, at the cost of one of them.

        Args:
            batch: Windows.
            tokens: Of the same windows, where their content was replaced; they are made here if not given.
        """
        tokens = self.tokenize(batch) if tokens is None else tokens
        encoded = self.encode(tokens)
        if self.traits.output == "tokens":
            by_row = encoded.reshape(encoded.shape[0], tokens.n_rows, tokens.n_patches, self.d_model)
            return Encoded(encoded, Features(by_row.mean(dim=2), self.whole_row_mask(batch, tokens)))
        pooled = encoded.mean(dim=1, keepdim=True)
        return Encoded(encoded, one_row(pooled))

    def new_decoder(self, n_values: int) -> TokenDecoder:
        """Build a decoder that predicts ``n_values`` per token. The objective owns its weights.

        Raises:
            ConfigError: The encoder gives one vector for a window.
        """
        if self.traits.output == "tokens":
            return LinearDecoder(self.d_model, n_values)
        raise ConfigError(f"{type(self).__name__} has no vector for a single token; choose an encoder of tokens")

    def query_attention(self, tokens: Tokens) -> Tensor:
        """Return what each learned query looks at, with the gradient of ``tokens``, where the encoder has queries.

        Args:
            tokens: As for ``encode``.

        Returns:
            (S, Q, C) weights of the channels in each of S patches, averaged over heads, without dropout.

        Raises:
            ConfigError: The trait ``has_queries`` is False.
        """
        raise ConfigError(f"{type(self).__name__} has no learned queries; choose encoder luna")

    def check_length(self, n_samples: int, montage: str) -> None:
        """Refuse windows that are not whole patches.

        Raises:
            ConfigError: The length is not a positive multiple of the patch.
        """
        if n_samples < 1 or n_samples % self.patch_samples:
            patch_s = self.patch_samples / self.rate_hz
            raise ConfigError(
                f"windows of montage {montage} last {n_samples / self.rate_hz:g} s, which is not a whole number "
                f"of {patch_s:g}-s patches; change the cut's length_s (cuts.*.length_s; of an import, window_s) or the "
                "encoder's patch (encoder.patch_s or encoder.patch_samples)"
            )

    def patches(self, batch: WindowBatch) -> Tensor:
        """(B, C, P, patch) view of the ``signal`` of the windows.

        Raises:
            ConfigError: A window is not whole patches.
        """
        signal = batch["signal"]
        B, C, T = signal.shape
        self.check_length(T, batch["montage"])
        return signal.view(B, C, T // self.patch_samples, self.patch_samples)

    def patches_of(self, batch: WindowBatch, index: Tensor | None = None) -> Tensor:
        """(B, N, patch) samples of all patches of single channels, or (B, Nv, patch) of those numbered (B, Nv)."""
        patches = self.patches(batch).flatten(1, 2)
        return patches if index is None else take(patches, index)

    def token_patches(self, batch: WindowBatch) -> Tensor:
        """(B, N, G, patch) samples of ``signal`` that each token stands for, G channels per token.

        If G does not divide the number of channels, the last row is filled up with channels of zeros.
        """
        patches, G = self.patches(batch), self.channels_per_token
        B, C, P, S = patches.shape
        patches = pad(patches, (0, 0, 0, 0, 0, -C % G))
        return patches.view(B, -1, G, P, S).transpose(2, 3).flatten(1, 2)

    def row_mask(self, batch: WindowBatch) -> Tensor | None:
        """(B, R) rows of tokens that hold a real channel; None where all do."""
        mask = padding_mask(batch)
        return None if mask is None else self.grouped(mask).any(dim=-1)

    def whole_row_mask(self, batch: WindowBatch, tokens: Tokens) -> Tensor:
        """(B, R) rows of tokens that hold a real channel."""
        mask = self.row_mask(batch)
        if mask is not None:
            return mask
        content = tokens.content
        return torch.ones(content.shape[0], tokens.n_rows, dtype=torch.bool, device=content.device)

    def group_mask(self, batch: WindowBatch) -> Tensor | None:
        """(B, R, G) bool, True for the real channels of each row's G; None where all are real."""
        is_whole = batch["channel_mask"].shape[1] % self.channels_per_token == 0
        return None if is_whole and padding_mask(batch) is None else self.grouped(batch["channel_mask"])

    def grouped(self, mask: Tensor) -> Tensor:
        """(B, C) mask of channels to (B, R, G), for the G channels of each row of tokens, filled up with False."""
        G = self.channels_per_token
        return pad(mask, (0, -mask.shape[1] % G)).view(mask.shape[0], -1, G)

    def key_mask(self, batch: WindowBatch, n_patches: int) -> Tensor | None:
        """(B, N) tokens that others may see, for ``Tokens``; None where all may."""
        mask = self.row_mask(batch)
        return None if mask is None else mask.repeat_interleave(n_patches, dim=1)


def with_last(layers: Iterable[nn.Module], norm: nn.Module) -> list[list[nn.Module]]:
    """List layers for ``Encoder.depth_layers``, a final norm in the last."""
    one_each = [[layer] for layer in layers]
    return [*one_each[:-1], [*one_each[-1], norm]]


def one_row(summary: Tensor, token_rows: Tensor | None = None) -> Features:
    """Features (B, 1, X) of whole windows; for ``token_rows`` see ``Features``."""
    return Features(summary, torch.ones(summary.shape[:2], dtype=torch.bool, device=summary.device), token_rows)


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


def absent_rows_zeroed(tokens: Tokens) -> Tensor:
    """(B, N, D) content, zero where ``key_mask`` is False: for encoders that mix tokens by other means than keys."""
    if tokens.key_mask is None:
        return tokens.content
    return tokens.content.masked_fill(~tokens.key_mask.unsqueeze(-1), 0.0)
