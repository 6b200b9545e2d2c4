"""Codebook of unit vectors, updated by moving averages and initialised by k-means.

Shapes: B windows, N tokens, V vectors, K codes, d width of a code.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn
from torch.nn.functional import normalize

from eegfm.errors import CheckpointError

_N_KMEANS_STEPS = 10
_LEAST_USE = 1e-3  # moving average of a code that was taken once about 230 steps ago, with a decay of 0.99


@dataclass(frozen=True)
class Quantized:
    """Quantized vectors and their codes.

    Args:
        codes: (B, N) int64.
        vectors: (B, N, d) the codes' vectors; gradients pass through them to what was quantised.
        commitment_loss: Mean squared distance between real unit vectors and their codes, over d.
        perplexity: Perplexity of the codes of this batch: 1 if all are equal, K if all codes occur equally often.
    """

    codes: Tensor
    vectors: Tensor
    commitment_loss: Tensor
    perplexity: Tensor


class Quantizer(nn.Module):
    """Nearest unit vector by cosine, updated by moving averages rather than gradients.

    As published (norm_ema_quantizer.py of 935963004/LaBraM, after VQ-VAE, arXiv 1711.00937, appendix A.1): k-means over
    first windows places the codes; a code that a step does not take stays where it is. ``follow`` moves the codebook
    once per optimizer step, by all vectors that came since: it does not matter how a step is cut into micro-batches.

    Args:
        n_codes: Codes K.
        d_code: Width d.
        decay: Decay of the moving averages per step.
    """

    codebook: Tensor
    usage: Tensor
    is_ready: Tensor

    def __init__(self, n_codes: int, d_code: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codebook", torch.zeros(n_codes, d_code))
        self.register_buffer("usage", torch.zeros(n_codes))
        self.register_buffer("is_ready", torch.tensor(False))
        self._pending: tuple[Tensor, Tensor] | None = None

    def nearest(self, vectors: Tensor) -> Tensor:
        """Codes (B, N) nearest to vectors (B, N, d) of any length; nothing changes.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        if not bool(self.is_ready):
            raise CheckpointError(
                "the labram tokenizer has no codebook yet; load weights, or train it: its first windows place the codes"
            )
        with torch.autocast(vectors.device.type, enabled=False):
            return _nearest(normalize(vectors.to(self.codebook.dtype), dim=-1), self.codebook)

    def forward(self, vectors: Tensor, mask: Tensor | None) -> Quantized:
        """Quantise (B, N, d) vectors; while training, remember them for ``follow``.

        Args:
            vectors: Vectors of any length except 0.
            mask: (B, N) bool, False for tokens of padding, which move and count nothing; None where all are real.

        Raises:
            CheckpointError: There is no codebook yet.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            unit = normalize(vectors.to(self.codebook.dtype), dim=-1)
            real = unit.flatten(0, 1) if mask is None else unit[mask]
            codes = self.nearest(unit)
            found = self.codebook[codes]
            counted = codes.flatten() if mask is None else codes[mask]
            counts = _sums(counted, torch.ones_like(real[:, 0]), len(self.codebook))
            commitment = (real - self.codebook[counted]).square().mean()
            if self.training:
                self._remember(real.detach(), counted, counts)
            return Quantized(codes, unit + (found - unit).detach(), commitment, _perplexity(counts))

    @property
    def used_ratio(self) -> Tensor:
        """Share of codes that training batches have taken lately."""
        return (self.usage > _LEAST_USE).to(self.usage.dtype).mean()

    @torch.no_grad()
    def place_codes(self, vectors: Tensor, generator: Generator) -> None:
        """Place the codes by k-means.

        Args:
            vectors: (V, d) of any length other than 0, the same on every rank.
            generator: Source of the drawn vectors that k-means begins with.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            unit = normalize(vectors.to(self.codebook.dtype), dim=-1)
            self.codebook.copy_(cosine_kmeans(unit, len(self.codebook), generator))
        self.is_ready.fill_(True)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the codebook by the vectors of one optimizer step, those of all ranks."""
        if self._pending is None:
            return
        (counts, sums), self._pending = self._pending, None
        if dist.is_initialized():
            dist.all_reduce(counts)
            dist.all_reduce(sums)
        self.usage.lerp_(counts, 1 - self.decay)
        # The direction of a sum is that of the mean; without any vector it is zero, and the code keeps its own.
        means = normalize(sums, dim=-1)
        self.codebook.copy_(normalize(self.codebook.lerp(means, 1 - self.decay), dim=-1))

    @torch.no_grad()
    def _remember(self, unit: Tensor, codes: Tensor, counts: Tensor) -> None:
        before = self._pending or (torch.zeros_like(counts), torch.zeros_like(self.codebook))
        self._pending = (before[0] + counts, before[1] + _sums(codes, unit, len(self.codebook)))


def cosine_kmeans(unit: Tensor, n_clusters: int, generator: Generator, n_steps: int = _N_KMEANS_STEPS) -> Tensor:
    """Centres (K, d), of unit length, of (V, d) unit vectors; drawn vectors to begin with.

    A centre that no vector is nearest to stays where it is. Fewer vectors than clusters are drawn repeatedly.
    """
    n = len(unit)
    # Drawn on the CPU, so that every device begins with the same.
    drawn = torch.randperm(n, generator=generator) if n >= n_clusters else _repeated(n, n_clusters, generator)
    centres = unit[drawn[:n_clusters].to(unit.device)]
    for _ in range(n_steps):
        sums = _sums(_nearest(unit, centres), unit, n_clusters)
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


def _perplexity(counts: Tensor) -> Tensor:
    shares = counts / counts.sum()
    perplexity: Tensor = torch.special.entr(shares).sum().exp()
    return perplexity
