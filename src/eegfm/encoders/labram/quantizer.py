"""Codebook of unit vectors, updated by moving averages and initialised by k-means.

Shapes: B windows, N tokens, V vectors, K codes, d width of a code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.functional import normalize

from eegfm.errors import CheckpointError
from eegfm.nn.code_use import perplexity
from eegfm.nn.context import Context, WindowDraws
from eegfm.nn.device import sent
from eegfm.nn.gather import of_all_ranks

_N_KMEANS_STEPS = 10
_VECTORS_PER_CODE = 32  # most that k-means looks at: a large codebook would meet millions of vectors otherwise
_ROWS = 4096  # vectors that are compared with all codes at once in k-means
_GRACE = 2.0  # a code that was placed anew counts as if it had twice the least share: it has time to be taken


@dataclass(frozen=True)
class Quantized:
    """Quantized vectors and their codes.

    Args:
        codes: (B, N) int64.
        counts: (K,) number of real tokens that each code is given.
        vectors: (B, N, d) the codes' vectors; gradients pass through them to what was quantised.
        commitment_loss: Mean squared distance between real unit vectors and their codes, over d: of each window, then
            over windows.
    """

    codes: Tensor
    counts: Tensor
    vectors: Tensor
    commitment_loss: Tensor


class Quantizer(nn.Module):
    """Nearest unit vector by cosine, updated by moving averages rather than gradients.

    As published (norm_ema_quantizer.py of 935963004/LaBraM, after VQ-VAE, arXiv 1711.00937, appendix A.1): k-means over
    first windows places the codes; a code that a step does not take stays where it is. ``follow`` moves the codebook
    once per optimizer step, by all vectors that came since: it does not matter how a step is cut into micro-batches.

    Not as published: a code that hardly any vector takes is placed anew on one of the step's vectors (SoundStream,
    arXiv 2107.03312, section III-C). At a high learning rate the encoder moves its vectors away from most codes within
    a few steps, and what no vector takes would never move again.

    Args:
        n_codes: Codes K.
        d_code: Width d.
        decay: Decay of the moving averages per step.
        least_use: Share of even use below which a code is placed anew; 0 for never.
    """

    codebook: Tensor
    usage: Tensor
    is_ready: Tensor

    def __init__(self, n_codes: int, d_code: int, decay: float, least_use: float = 0.0) -> None:
        super().__init__()
        self.decay, self.least_use = decay, least_use
        self.register_buffer("codebook", torch.zeros(n_codes, d_code))
        self.register_buffer("usage", torch.zeros(n_codes))
        self.register_buffer("is_ready", torch.tensor(False))
        self._has_codes = False  # what ``is_ready`` says, so that a step need not ask the device
        self._pending: tuple[Tensor, Tensor] | None = None
        self._candidates: list[tuple[Tensor, Tensor]] = []

    def nearest(self, vectors: Tensor) -> Tensor:
        """Codes (B, N) nearest to vectors (B, N, d) of any length; nothing changes.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        if not self._has_codes:
            raise CheckpointError(
                "the labram tokenizer has no codebook yet; load weights, or train it: its first windows place the codes"
            )
        with torch.autocast(vectors.device.type, enabled=False):
            return _nearest(normalize(vectors.to(self.codebook.dtype), dim=-1), self.codebook)

    def forward(self, vectors: Tensor, mask: Tensor | None, draws: WindowDraws | None = None) -> Quantized:
        """Quantise (B, N, d) vectors; while training, remember them for ``follow``.

        Args:
            vectors: Vectors of any length except 0.
            mask: (B, N) bool, False for tokens of padding, which move and count nothing; None where all are real.
            draws: Choose one vector of each window, on which a code may be placed anew; None for none.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            unit = normalize(vectors.to(self.codebook.dtype), dim=-1)
            codes = self.nearest(unit)
            found = self.codebook[codes]
            # Weighted, not chosen: choosing would wait for the device to count them.
            weight = torch.ones_like(unit[..., 0]) if mask is None else mask.to(unit.dtype)
            commitment = mean_of_windows((unit - found).square().mean(dim=-1), weight)
            counts = _sums(codes.flatten(), weight.flatten(), len(self.codebook))
            if self.training:
                self._remember(unit.detach(), codes, weight, counts)
                if draws is not None and self.least_use:
                    self._candidates.append(_one_per_window(unit.detach(), weight, draws))
            return Quantized(codes, counts, unit + (found - unit).detach(), commitment)

    @property
    def perplexity(self) -> Tensor:
        """Perplexity of the codes that training batches have taken lately.

        The same on every rank; 0 before the first step.
        """
        return perplexity(self.usage)

    @torch.no_grad()
    def place_codes(self, vectors: Tensor, generator: Generator) -> None:
        """Place the codes by k-means.

        Args:
            vectors: (V, d) of any length other than 0, the same on every rank. Of more than 32 per code, so many are
                drawn.
            generator: Source of the drawn vectors that k-means looks at and begins with.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            unit = normalize(vectors.to(self.codebook.dtype), dim=-1)
            self.codebook.copy_(cosine_kmeans(unit, len(self.codebook), generator))
        self.is_ready.fill_(True)
        self._has_codes = True

    @torch.no_grad()
    def follow(self, context: Context) -> None:
        """Move the codebook by the vectors of one optimizer step, those of all ranks.

        Args:
            context: Number of ranks.
        """
        # A rank without vectors adds zeros: the others wait for it.
        counts, sums = self._pending or (torch.zeros_like(self.usage), torch.zeros_like(self.codebook))
        self._pending = None
        if context.world_size > 1:
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        has_come = counts.sum() > 0
        self.usage.copy_(torch.where(has_come, self.usage.lerp(counts, 1 - self.decay), self.usage))
        # The direction of a sum is that of the mean; without any vector it is zero, and the code keeps its own.
        means = normalize(sums, dim=-1)
        moved = normalize(self.codebook.lerp(means, 1 - self.decay), dim=-1)
        self.codebook.copy_(torch.where(has_come, moved, self.codebook))
        if self._candidates:
            keys, vectors = (torch.cat(parts) for parts in zip(*self._candidates, strict=True))
            self._candidates = []
            self._place_anew(of_all_ranks(keys, context), of_all_ranks(vectors, context))

    def _place_anew(self, keys: Tensor, vectors: Tensor) -> None:
        """Place codes that are hardly taken on drawn vectors, the least taken first; nothing waits for the device.

        Args:
            keys: (W,) random numbers, whose order decides which vectors are taken; infinite where there is none.
            vectors: (W, d) one unit vector of each window.
        """
        n = min(len(keys), len(self.usage))
        # Sorted by their keys, so that the order in which ranks and micro-batches come decides nothing.
        keys, order = keys.sort(stable=True)
        vectors, codes = vectors[order[:n]], self.usage.argsort(stable=True)[:n]
        least = self.least_use * self.usage.mean()
        # Before a code with the least share would have come once, that it has not come says nothing.
        is_known = least >= 1 - self.decay
        is_new = (self.usage[codes] < least) & is_known & keys[:n].isfinite()
        self.codebook[codes] = torch.where(is_new.unsqueeze(-1), vectors, self.codebook[codes])
        self.usage[codes] = torch.where(is_new, _GRACE * least, self.usage[codes])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Load, and note whether there are codes."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._has_codes = bool(self.is_ready)

    @torch.no_grad()
    def _remember(self, unit: Tensor, codes: Tensor, weight: Tensor, counts: Tensor) -> None:
        sums = _sums(codes.flatten(), (unit * weight.unsqueeze(-1)).flatten(0, 1), len(self.codebook))
        if self._pending is not None:
            counts, sums = self._pending[0] + counts, self._pending[1] + sums
        self._pending = (counts, sums)


def _one_per_window(unit: Tensor, weight: Tensor, draws: WindowDraws) -> tuple[Tensor, Tensor]:
    """Draw a key (B,) and one real vector (B, d) of each window; the key is infinite in a window without any."""
    drawn = sent(draws.uniform(2), unit.device)
    n_until = weight.cumsum(dim=1)  # number of real tokens up to each
    n_real = n_until[:, -1:]
    place = (n_until <= drawn[:, 1:] * n_real).sum(dim=1, keepdim=True).clamp_max(unit.shape[1] - 1)
    vectors = unit.take_along_dim(place.unsqueeze(-1), dim=1).squeeze(1)
    return torch.where(n_real[:, 0] > 0, drawn[:, 0], torch.inf), vectors


def mean_of_windows(values: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B, N) values of each window, weighted by (B, N), then of the windows that have any weight.

    Window by window, so that the mean over ranks is that of one process, whatever padding their windows have.
    """
    total = weight.sum(dim=1)
    by_window = (values * weight).sum(dim=1) / total.clamp_min(1)
    return by_window.sum() / (total > 0).sum().clamp_min(1)


def cosine_kmeans(unit: Tensor, n_clusters: int, generator: Generator, n_steps: int = _N_KMEANS_STEPS) -> Tensor:
    """Centres (K, d), of unit length, of (V, d) unit vectors; drawn vectors to begin with.

    A centre that no vector is nearest to stays where it is. Fewer vectors than clusters are drawn repeatedly; of more
    than 32 per cluster, so many are drawn and the others left out.
    """
    n = len(unit)
    # Drawn on the CPU, so that every device begins with the same.
    drawn = torch.randperm(n, generator=generator) if n >= n_clusters else _repeated(n, n_clusters, generator)
    looked_at = drawn[: _VECTORS_PER_CODE * n_clusters]
    centres = unit[drawn[:n_clusters].to(unit.device)]
    if len(looked_at) < n:
        unit = unit[looked_at.to(unit.device)]
    for _ in range(n_steps):
        nearest = torch.cat([_nearest(rows, centres) for rows in torch.split(unit, _ROWS)])
        sums = _sums(nearest, unit, n_clusters)
        centres = torch.where(sums.any(dim=-1, keepdim=True), normalize(sums, dim=-1), centres)
    return centres


def _repeated(n: int, n_drawn: int, generator: Generator) -> Tensor:
    return torch.randint(n, (n_drawn,), generator=generator)


def _nearest(unit: Tensor, codebook: Tensor) -> Tensor:
    """Index of the code with the largest cosine."""
    return (unit @ codebook.T).argmax(dim=-1)


def _sums(index: Tensor, values: Tensor, n: int) -> Tensor:
    """(n, ...) sums of the values (V, ...) that share an index (V,)."""
    return values.new_zeros(n, *values.shape[1:]).index_add_(0, index, values)
