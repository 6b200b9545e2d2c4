"""Use of a codebook in a validation. Shapes: K codes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eegfm.nn.code_use import perplexity, used_ratio
from eegfm.training.logs.names import VAL, named


class CodeUse:
    """Counts of the codes that the patches of a validation are given, kept on the device, and what they tell.

    ``perplexity`` and ``used_ratio`` are of all patches of the validation together, and of those of each corpus.
    """

    def __init__(self) -> None:
        self._counts: dict[str, Tensor] = {}

    def forget(self) -> None:
        """Begin a validation."""
        self._counts = {}

    def add(self, corpus: str, counts: Tensor | None) -> None:
        """Count the patches of a micro-batch; nothing waits for the device.

        Args:
            corpus: Name of the corpus.
            counts: (K,) patches that each code was given; None of a micro-batch that was not looked at.
        """
        if counts is not None:
            self._counts[corpus] = self._counts[corpus] + counts if corpus in self._counts else counts

    def take(self, gather: Callable[[Any], list[Any]] | None = None) -> dict[str, float]:
        """Return named values of the validation, whose counts are forgotten. This waits for the device.

        Args:
            gather: Gives the plain data of all processes; None in one process.
        """
        plain = {corpus: counts.tolist() for corpus, counts in self._counts.items()}
        self.forget()
        sums: dict[str, Tensor] = {}
        for counts_of in [plain] if gather is None else gather(plain):
            for corpus, counts in counts_of.items():
                own = torch.tensor(counts, dtype=torch.float64)
                sums[corpus] = sums[corpus] + own if corpus in sums else own
        if not sums:
            return {}
        by_corpus = {corpus: _values(sums[corpus]) for corpus in sorted(sums)}
        return named(VAL, _values(torch.stack([*sums.values()]).sum(dim=0)), by_corpus)


def _values(counts: Tensor) -> dict[str, float]:
    return {"perplexity": float(perplexity(counts)), "used_ratio": float(used_ratio(counts))}
