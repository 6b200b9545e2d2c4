"""Base of the targets: what is asked of each token, and the score of a prediction.

Shapes: B windows, C channels, R rows of G channels, P patches per row, N = R * P tokens, M tokens asked for, S samples
of a patch, K values of one channel of a token.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from eegfm.batch import StoredBatch, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.tokens import Visible, take
from eegfm.inference.backbone import Backbone
from eegfm.losses.pointwise import PointwiseKind, distances, masked_mean, pointwise_loss
from eegfm.nn.context import Stage

LEAST_SD = 1e-3
CLIP = 15.0
"""Largest absolute value of a target in its unit: one beyond it is an artefact."""


@dataclass(frozen=True)
class Source:
    """Origin of targets.

    Args:
        backbone: The encoder whose tokens are asked for, and everything before it.
        of: Signal that targets are computed from.
        high_hz: Highest frequency of spectra.
        tokenizer: Gives codes; None where there is none.
    """

    backbone: Backbone
    of: Literal["microvolts", "normalized"]
    high_hz: float
    tokenizer: nn.Module | None = None


class Asked(NamedTuple):
    """Windows that are asked about.

    Args:
        stored: As stored.
        windows: As prepared; the signal in it is not necessarily the one that is asked for.
        signal: (B, C, T) microvolts, or the normalized signal.
        patches: (B, N, G, S) the same by token.
        mask: (B, N, G) bool, False for channels of a token that are absent; None where none is.
        stage: Use of the windows.
    """

    stored: StoredBatch
    windows: WindowBatch
    signal: Tensor
    patches: Tensor
    mask: Tensor | None
    stage: Stage

    @classmethod
    def of(cls, source: Source, stored: StoredBatch, windows: WindowBatch, stage: Stage) -> "Asked":
        """Take the signal that is asked for: where learned weights made it (``target_signal``), what they do not reach.

        Args:
            source: Says which signal.
            stored: Windows as stored.
            windows: The same, as prepared.
            stage: Use of the windows.
        """
        signal = windows.get("target_signal", windows["signal_uv"])
        if source.of == "normalized":
            mask = windows["channel_mask"]
            is_learned = "target_signal" in windows
            signal = source.backbone.normalization.normalized(signal, mask) if is_learned else windows["signal"]
        encoder = source.backbone.encoder
        patches = encoder.token_patches({**windows, "signal": signal})
        group_mask = token_group_mask(encoder, windows, signal.shape[2] // encoder.patch_samples)
        return cls(stored, windows, signal, patches, group_mask, stage)


@dataclass(frozen=True)
class Place:
    """Tokens that are scored.

    Args:
        index: (B, M) their numbers.
        masked: (B, M') all masked tokens.
        mask: (B or 1, N, G) bool, False for channels that are not scored; None where all are.
    """

    index: Tensor
    masked: Tensor
    mask: Tensor | None

    @property
    def scored(self) -> Tensor | None:
        """(B, M, G) ``mask`` of the tokens at hand."""
        return None if self.mask is None else take(self.mask.expand(len(self.index), -1, -1), self.index)

    def visible(self, n_tokens: int, n_group: int) -> Tensor:
        """(B, N, G) bool, True for channels of tokens that are neither masked nor absent."""
        seen = ~Visible(self.masked).mask(n_tokens).unsqueeze(-1).expand(-1, -1, n_group)
        return seen if self.mask is None else seen & self.mask


class Scores(NamedTuple):
    """Losses of one target.

    Args:
        loss: Of the prediction.
        baseline_loss: Of what is best without looking at the window.
        visible_mean_loss: Of the mean of the window's visible tokens; for codes, of how often they have each.
    """

    loss: Tensor
    baseline_loss: Tensor
    visible_mean_loss: Tensor

    def plus(self, weight: float, other: "Scores") -> "Scores":
        """Add the scores of other tokens, or of another target."""
        return Scores(*(a + weight * b for a, b in zip(self, other, strict=True)))

    def times(self, weight: float) -> "Scores":
        """Scale."""
        return self if weight == 1 else Scores(*(weight * a for a in self))


class Target(nn.Module, ABC):
    """Base of all targets."""

    needs_statistics: ClassVar[bool] = True
    n_outputs: int
    """Numbers that are predicted for one token."""
    unit: str = ""
    frequencies_hz: list[float]
    """Of ``physical`` values; empty for samples."""

    def __init__(self) -> None:
        super().__init__()
        self.frequencies_hz = []

    def observe(self, asked: Asked) -> None:
        """Count training windows for the statistics."""

    def finish(self) -> None:
        """Turn what was counted into statistics."""

    @abstractmethod
    def forward(self, asked: Asked) -> Tensor:
        """(B, N, ...) what is asked of each token."""

    @abstractmethod
    def scores(self, kind: PointwiseKind, outputs: Tensor, everything: Tensor, place: Place) -> Scores:
        """Score predictions.

        Args:
            kind: Distance of values.
            outputs: (B, M, ``n_outputs``) predictions.
            everything: Result of ``forward``.
            place: Tokens that are predicted.
        """

    def physical(self, outputs: Tensor) -> Tensor | None:
        """(B, N, G, K') what can be shown of (B, N, G, K) values in ``unit``; None where nothing can."""
        return None


class Values(Target):
    """Base of targets that are numbers; zero is the best prediction that does not look at the window.

    Args:
        source: Its backbone's tokens are asked for.
        n_values: Numbers K of one channel of a token.
    """

    def __init__(self, source: Source, n_values: int) -> None:
        super().__init__()
        self.n_values = n_values
        self.n_outputs = source.backbone.encoder.channels_per_token * n_values

    def weights(self, target: Tensor) -> Tensor | None:
        """(B, M, G, K) weights of the distances; None where all are one."""
        return None

    def scores(self, kind: PointwiseKind, outputs: Tensor, everything: Tensor, place: Place) -> Scores:
        """Return the mean distance, window by window; see the base class."""
        target = everything.take_along_dim(place.index[..., None, None], dim=1)
        scored, weights = place.scored, self.weights(target)

        def loss(prediction: Tensor) -> Tensor:
            if weights is None:
                return pointwise_loss(kind, prediction, target, scored)
            weighted = distances(kind, prediction, target) * weights
            return masked_mean(weighted, None if scored is None else scored.unsqueeze(-1).expand_as(weighted))

        found = loss(outputs.reshape(target.shape))
        with torch.no_grad():
            mean = _visible_mean(everything, place).expand_as(target)
            return Scores(found, loss(torch.zeros_like(target)), loss(mean))


class Standardised(Values):
    """Base of targets whose values are standardised over training windows.

    Args:
        source: Its backbone's tokens are asked for.
        n_values: Numbers K of one channel of a token.
        n_standardised: Values that are standardised, where not all are.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, source: Source, n_values: int, n_standardised: int | None = None) -> None:
        super().__init__(source, n_values)
        self.register_buffer("mean", torch.zeros(n_standardised or n_values))
        self.register_buffer("sd", torch.ones(n_standardised or n_values))
        self._n_windows, self._sums = 0, (torch.zeros(()), torch.zeros(()))

    @abstractmethod
    def raw(self, asked: Asked) -> Tensor:
        """(B, N, G, K) values in ``unit``."""

    @torch.no_grad()
    def observe(self, asked: Asked) -> None:
        """Add up the values of channels that are there; each batch counts by its windows."""
        values = double(present(self.raw(asked), asked.mask))
        size = len(asked.patches)
        self._n_windows += size
        of_batch = (values.mean(dim=0).cpu(), values.square().mean(dim=0).cpu())
        self._sums = (self._sums[0] + size * of_batch[0], self._sums[1] + size * of_batch[1])

    def finish(self) -> None:
        """Estimate mean and standard deviation of each value."""
        assert self._n_windows, "statistics need at least one batch"
        mean, mean_square = (total / self._n_windows for total in self._sums)
        self.set_statistics(mean, mean_square)
        self._n_windows, self._sums = 0, (torch.zeros(()), torch.zeros(()))

    def set_statistics(self, mean: Tensor, mean_square: Tensor) -> None:
        """Take mean and standard deviation from a mean and a mean square."""
        self.mean.copy_(mean)
        self.sd.copy_((mean_square - mean.square()).clamp_min(LEAST_SD**2).sqrt())

    def forward(self, asked: Asked) -> Tensor:
        """Standardise; see the base class."""
        return (self.raw(asked) - self.mean) / self.sd

    def physical(self, outputs: Tensor) -> Tensor | None:
        """Undo it; see the base class."""
        return outputs * self.sd + self.mean


def present(values: Tensor, mask: Tensor | None) -> Tensor:
    """(n, K) values of all channels that are there, of (B, N, G, K)."""
    return values.flatten(0, 2) if mask is None else values[mask.expand(len(values), -1, -1)]


def double(values: Tensor) -> Tensor:
    """Return values in float64, on the CPU where the device is an Apple GPU, which knows none."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def token_group_mask(encoder: Encoder, batch: WindowBatch, n_patches: int) -> Tensor | None:
    """(B, N, G) bool, False for the channels of a token that are only padding; None where none is."""
    mask = encoder.group_mask(batch)
    return None if mask is None else mask.repeat_interleave(n_patches, dim=1)


def by_token(by_channel: Tensor, channels_per_token: int, n_patches: int) -> Tensor:
    """(B, C, K) values that a channel has at all times, as those of tokens (B, N, G, K)."""
    B, C, K = by_channel.shape
    G = channels_per_token
    rows = nn.functional.pad(by_channel, (0, 0, 0, -C % G)).view(B, -1, 1, G, K)
    return rows.expand(-1, -1, n_patches, -1, -1).flatten(1, 2)


def _visible_mean(targets: Tensor, place: Place) -> Tensor:
    """(B, 1, 1, K) mean of a window's (B, N, G, K) targets over what is visible."""
    weights = place.visible(*targets.shape[1:3]).unsqueeze(-1).to(targets.dtype)
    total = (targets * weights).sum(dim=(1, 2), keepdim=True)
    return total / weights.sum(dim=(1, 2), keepdim=True).clamp_min(1)
