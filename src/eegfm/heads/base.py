"""Base class of heads: from the encoded tokens of a window to the logits of its answer.

Shapes: B windows, R rows of tokens, P patches of time, D width.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eegfm.batch import SignalSpec
from eegfm.encoders.base import Encoded, Encoder
from eegfm.errors import ConfigError
from eegfm.heads.config import HEADS, HeadBase
from eegfm.nn.weights import build_seeded
from eegfm.targets import TargetSpec

_KEY = "finetune.head"


class TokenGrid(NamedTuple):
    """Encoded windows as a head takes them.

    Args:
        vectors: (B, R, P, D) vectors of tokens; R is 1 where a vector holds all channels, and P too where it holds the
            whole window.
        mask: (B, R) bool, False for a row that is only padding.
        summary: (B, D) vector of the token that stands for the whole window, where the encoder has one.
    """

    vectors: Tensor
    mask: Tensor
    summary: Tensor | None = None

    @property
    def shown(self) -> Tensor:
        """(B, R, P, D) vectors, zero in rows that are only padding."""
        return self.vectors.masked_fill(~self.mask[:, :, None, None], 0.0)

    @property
    def tokens(self) -> tuple[Tensor, Tensor]:
        """(B, R * P, D) vectors, zero in padding, and (B, R * P) which of them are there."""
        return self.shown.flatten(1, 2), self.mask.repeat_interleave(self.vectors.shape[2], dim=1)

    @property
    def over_rows(self) -> Tensor:
        """(B, P, D) mean over the rows that are there; zero where none is."""
        n_rows = self.mask.sum(dim=1).clamp_min(1)
        return self.shown.sum(dim=1) / n_rows[:, None, None].to(self.vectors.dtype)


def grid_of(encoded: Encoded) -> TokenGrid:
    """Lay out what an encoder gives as a grid of rows by patches."""
    vectors, features = encoded
    rows = features.token_rows
    mask, summary = (features.mask, None) if rows is None else (rows, features.values[:, 0])
    B, N, D = vectors.shape
    n_rows = mask.shape[1]
    assert N % n_rows == 0, f"{N} vectors are no {n_rows} rows"
    return TokenGrid(vectors.reshape(B, n_rows, N // n_rows, D), mask, summary)


@dataclass(frozen=True)
class HeadSpec:
    """Specification that a head is built for.

    Args:
        d_model: Width D of a vector.
        n_rows: Rows R; None where montages differ in their channels, and an encoder has rows of channels.
        n_patches: Patches P of the longest windows; None where montages differ in it.
        target: What is asked of a window.
        row_names: Names of the rows, where each is one channel and all montages have the same.
        has_summary: Whether a token stands for the whole window.
    """

    d_model: int
    n_rows: int | None
    n_patches: int | None
    target: TargetSpec
    row_names: tuple[str, ...] = ()
    has_summary: bool = False

    @property
    def n_logits(self) -> int:
        """Logits of one window, all outputs and classes together."""
        return math.prod(self.target.output_shape)


def head_spec(encoder: Encoder, spec: SignalSpec, target: TargetSpec) -> HeadSpec:
    """Describe what a head behind an encoder gets.

    Args:
        encoder: The encoder.
        spec: Specification of what it receives, see ``Backbone.encoder_spec``.
        target: What is asked of a window.
    """
    output, G = encoder.traits.output, encoder.channels_per_token
    is_tokens = output == "tokens"
    channels = {montage.channel_names for montage in spec.montages.values()}
    patches = {1 if output == "window" else n // encoder.patch_samples for n in spec.n_samples.values()}
    names = channels.pop() if len(channels) == 1 and is_tokens else ()
    return HeadSpec(
        encoder.d_model,
        (-(-len(names) // G) or None) if is_tokens else 1,
        patches.pop() if len(patches) == 1 else None,
        target,
        names if G == 1 else (),
        has_summary=is_tokens and not encoder.has_rows,
    )


class Head(nn.Module, ABC):
    """Base of all heads.

    Args:
        config: Choices.
        spec: What it is built for.

    Raises:
        ConfigError: The head does not give answers of this kind, or nothing is asked.
    """

    def __init__(self, config: HeadBase, spec: HeadSpec) -> None:
        super().__init__()
        kind = spec.target.kind
        if kind not in config.kinds:
            able = ", ".join(head.model_fields["name"].default for head in HEADS if kind in head.kinds)
            remedy = f"choose {_KEY}.name of {able}" if able else "give the task labels"
            raise ConfigError(
                f"{_KEY}.name {config.name} answers tasks of kind {', '.join(config.kinds)}, and this task is {kind}; "
                f"{remedy}"
            )
        assert spec.n_logits, f"a task of kind {kind} without classes or outputs"
        self.spec = spec
        self.output_shape = spec.target.output_shape

    @abstractmethod
    def logits(self, grid: TokenGrid) -> Tensor:
        """(B, n_logits) logits of windows. What is in rows that are only padding changes nothing."""

    def forward(self, grid: TokenGrid) -> Tensor:
        """Answer windows: (B, *target.output_shape), see ``eegfm.targets``."""
        return self.logits(grid).view(-1, *self.output_shape)


def build_head(config: HeadBase, spec: HeadSpec, seed: int, *, n_weight_bytes: int | None = None) -> Head:
    """Build a head whose initial weights follow from the seed alone; global random state is left as is.

    Args:
        config: Choices.
        spec: What it is built for.
        seed: Seed of the weights.
        n_weight_bytes: See ``eegfm.nn.weights.build_seeded``.

    Raises:
        ConfigError: The head does not fit the encoder, the data or the task.
    """
    head = build_seeded(config, seed, spec, n_weight_bytes=n_weight_bytes)
    assert isinstance(head, Head), f"{config.implementation} is no Head"
    return head


def new_mlp(d_in: int, hidden: tuple[int, ...], d_out: int, dropout_ratio: float) -> nn.Sequential:
    """Build linear maps with a GELU and a dropout between them."""
    parts: list[nn.Module] = []
    for width in hidden:
        parts += [nn.Linear(d_in, width), nn.GELU(), nn.Dropout(dropout_ratio)]
        d_in = width
    return nn.Sequential(*parts, nn.Linear(d_in, d_out))


def check_fixed(spec: HeadSpec, what: str, *, rows: bool, patches: bool) -> None:
    """Refuse data whose windows differ in a size that weights of a head depend on.

    Args:
        spec: What the head is built for.
        what: The choice that depends on it, as the configuration has it.
        rows: Whether it depends on the number of rows.
        patches: Whether it depends on the number of patches.

    Raises:
        ConfigError: Montages differ in it.
    """
    if rows and spec.n_rows is None:
        raise ConfigError(
            f"{what} needs the same channels in all windows, and the montages of the data differ in them; choose "
            f"{_KEY}.pooling mean, or an adapter to one montage"
        )
    if patches and spec.n_patches is None:
        raise ConfigError(
            f"{what} needs windows of one length, and the cuts of the corpora differ in it; choose {_KEY}.pooling mean "
            "or rows, or cut all corpora to one length_s (cuts.*.length_s)"
        )


def check_size(grid: TokenGrid, n_rows: int, n_patches: int | None = None) -> None:
    """Refuse windows of another size than the head was built for.

    Raises:
        ConfigError: They have other rows, or other patches where ``n_patches`` says how many.
    """
    R, P = grid.vectors.shape[1:3]
    if n_rows != R or n_patches not in (None, P):
        wanted = f"{n_rows} rows" + ("" if n_patches is None else f" x {n_patches} patches")
        raise ConfigError(
            f"{_KEY} was built for windows of {wanted} of tokens, and these have {R} rows x {P} patches; cut windows "
            f"of one length (cuts.*.length_s), or choose {_KEY}.pooling mean"
        )


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where the mask is True; zero elsewhere, and everywhere where nothing is there."""
    # Not minus infinity: the softmax over nothing is no number.
    masked = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return masked.softmax(dim=-1).masked_fill(~mask, 0.0)
