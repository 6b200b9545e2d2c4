"""Mean log spectra of persons, estimated from the first training steps and from the window at hand.

Shapes: B windows, K frequencies, Q persons of a corpus.
"""

import logging
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eegfm.nn.context import Stage
from eegfm.objectives.patches.targets.base import Asked, double

logger = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """Windows of one batch: (B,) persons, (B, K) means and mean squares over channels and patches, (B,) if any."""

    corpus: str
    person: Tensor | None
    mean: Tensor
    mean_square: Tensor
    is_there: Tensor


class PersonMeans(nn.Module):
    """Mean over channels, patches and windows of a person.

    For a person of whom setup saw n windows with the mean m, and a window with the mean w, it is (n m + w) / (n + 1):
    the mean of all windows of the person that are known. For a person of whom setup saw none, it is w. Persons of a
    validation are such always: their numbers are those of another split, and nothing of them was seen in training. A
    validation therefore asks for deviations from the window's own mean, a training for more and more of the slow ones
    as n grows; their losses are to be compared with their own baselines only.

    The means are of the data of this training, and are estimated anew whenever one begins: they are no part of the
    state, so that no checkpoint holds measurements of single persons.
    """

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}
        self._seen: list[_Seen] = []

    def forward(self, asked: Asked, spectra: Tensor) -> Tensor:
        """(B, K) means to subtract from spectra (B, N, G, K)."""
        own, _, _ = _of_windows(asked, spectra)
        corpus, person = asked.windows["corpus"], asked.windows.get("person")
        if asked.stage is not Stage.TRAINING or person is None or corpus not in self._numbers:
            return own
        sums, counts = self._table(corpus)
        known = person.clamp(max=len(counts) - 1)
        n = torch.where(person < len(counts), counts[known], 0.0).unsqueeze(1)
        return (torch.where(n > 0, sums[known], 0.0) + own) / (n + 1)

    def observe(self, asked: Asked, spectra: Tensor) -> None:
        """Remember the means of training windows."""
        mean, mean_square, is_there = (part.cpu() for part in _of_windows(asked, double(spectra)))
        person = asked.windows.get("person")
        person = None if person is None else person.cpu()
        self._seen.append(_Seen(asked.windows["corpus"], person, mean, mean_square, is_there))

    def finish(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Fill the tables; return (K,) mean and mean square of what is left of the spectra seen, every window alike."""
        assert self._seen, "statistics need at least one batch"
        for corpus in sorted({seen.corpus for seen in self._seen}):
            self._fill(corpus, device)
        left = [self._left(seen) for seen in self._seen]
        mean, mean_square = (torch.cat(parts).mean(dim=0) for parts in zip(*left, strict=True))
        self._seen = []
        return mean, mean_square

    def _fill(self, corpus: str, device: torch.device) -> None:
        of_corpus = [seen for seen in self._seen if seen.corpus == corpus and seen.person is not None]
        n_windows = sum(len(seen.mean) for seen in self._seen if seen.corpus == corpus)
        if not of_corpus:
            self._numbers.pop(corpus, None)
            logger.warning("Target minus person: %s has no persons; windows are measured against themselves", corpus)
            return
        person = torch.cat([seen.person[seen.is_there] for seen in of_corpus if seen.person is not None])
        means = torch.cat([seen.mean[seen.is_there] for seen in of_corpus])
        counts = torch.bincount(person, minlength=1).double()
        sums = torch.zeros(len(counts), means.shape[1], dtype=means.dtype).index_add_(0, person, means)
        number = self._numbers.setdefault(corpus, len(self._numbers))
        self.register_buffer(f"sums_{number}", sums.float().to(device), persistent=False)
        self.register_buffer(f"counts_{number}", counts.float().to(device), persistent=False)
        logger.info(
            "Target minus person: %s: means of %d persons from %d windows; others are measured against their window",
            corpus, int((counts > 0).sum()), n_windows,
        )  # fmt: skip

    def _left(self, seen: _Seen) -> tuple[Tensor, Tensor]:
        """(W, K) mean and mean square, in each window, of what is left."""
        offset = seen.mean
        if seen.person is not None:
            sums, counts = (part.cpu().double() for part in self._table(seen.corpus))
            offset = (sums[seen.person] + seen.mean) / (counts[seen.person].unsqueeze(1) + 1)
        mean = seen.mean - offset
        mean_square = seen.mean_square - 2 * offset * seen.mean + offset.square()
        return mean[seen.is_there], mean_square[seen.is_there]

    def _table(self, corpus: str) -> tuple[Tensor, Tensor]:
        """(Q, K) sums of window means, (Q,) numbers of windows."""
        number = self._numbers[corpus]
        return self.get_buffer(f"sums_{number}"), self.get_buffer(f"counts_{number}")


def _of_windows(asked: Asked, spectra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, K) mean and mean square of each window over channels and patches that are there, (B,) whether any is."""
    if asked.mask is None:
        everywhere = torch.ones(len(spectra), dtype=torch.bool, device=spectra.device)
        return spectra.mean(dim=(1, 2)), spectra.square().mean(dim=(1, 2)), everywhere
    mask = asked.mask.expand(spectra.shape[:3]).unsqueeze(-1).to(spectra.device)
    kept, n = spectra.masked_fill(~mask, 0.0), mask.sum(dim=(1, 2))
    return kept.sum(dim=(1, 2)) / n.clamp_min(1), kept.square().sum(dim=(1, 2)) / n.clamp_min(1), n[:, 0] > 0
