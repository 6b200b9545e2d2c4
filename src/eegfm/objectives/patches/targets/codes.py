"""Codes of a tokenizer as a target: classes, by cross entropy.

Shapes: see ``eegfm.objectives.patches.targets.base``; K codes.
"""

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from eegfm.batch import StoredBatch
from eegfm.errors import ConfigError
from eegfm.losses.pointwise import PointwiseKind, masked_mean
from eegfm.objectives.patches.targets.base import Asked, Place, Scores, Source, Target
from eegfm.objectives.patches.targets.config import CodesTarget

_UNSEEN = 1e-3  # share of the tokens that is spread evenly over all codes: setup sees few of them


class Tokenizer(Protocol):
    """A trained tokenizer, frozen and in evaluation mode: a module with everything from stored samples to codes.

    Args:
        n_codes: Size K of the codebook.
    """

    n_codes: int

    def codes(self, batch: StoredBatch) -> Tensor:
        """(B, N) int64 below K: codes of the same patches, in the same order, as the tokens of the encoder."""
        ...


class Codes(Target):
    """Code of each token's patch. Codes are of the untouched window.

    The tokenizer is no submodule: it moves to the device with this one, but is neither trained nor stored.

    Args:
        config: Nothing that is read here.
        source: Its tokenizer is asked.

    Raises:
        ConfigError: There is no tokenizer.
    """

    frequency: Tensor

    def __init__(self, config: CodesTarget, source: Source) -> None:
        super().__init__()
        if source.tokenizer is None:
            raise ConfigError(
                "objective.target codes asks for the codes of a tokenizer, and there is none; make it with: "
                "kedro run --pipelines=tokenizer"
            )
        self._tokenizer = (source.tokenizer.eval().requires_grad_(False),)
        self.n_outputs = self.tokenizer.n_codes
        self.register_buffer("frequency", torch.full((self.n_outputs,), 1 / self.n_outputs))
        self._counts = torch.zeros(self.n_outputs, dtype=torch.float64)

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer that is asked."""
        return cast(Tokenizer, self._tokenizer[0])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self._tokenizer[0]._apply(fn)  # type: ignore[no-untyped-call]  # torch has no types for it
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # the same

    def observe(self, asked: Asked) -> None:
        """Count codes, each batch by its windows; see the base class."""
        codes = self(asked)
        is_there = torch.ones_like(codes, dtype=torch.bool) if asked.mask is None else asked.mask.any(dim=-1)
        counts = torch.bincount(codes[is_there.expand_as(codes)].cpu(), minlength=self.n_outputs).double()
        self._counts += len(codes) * counts / counts.sum().clamp_min(1)

    def finish(self) -> None:
        """Estimate how often each code occurs, one that did not occur a little, too; see the base class."""
        total = self._counts.sum()
        assert total, "statistics need at least one batch"
        self.frequency.copy_((1 - _UNSEEN) * self._counts / total + _UNSEEN / self.n_outputs)
        self._counts = torch.zeros_like(self._counts)

    @torch.no_grad()
    def forward(self, asked: Asked) -> Tensor:
        """(B, N) codes; see the base class.

        Raises:
            ConfigError: The tokenizer cuts windows into other patches.
        """
        codes = self.tokenizer.codes(asked.stored)
        if codes.shape != asked.patches.shape[:2]:
            raise ConfigError(
                f"objective.target codes: the tokenizer cuts a window into {codes.shape[1]} tokens, the encoder into "
                f"{asked.patches.shape[1]}; give both the same patch and the same channels"
            )
        return codes

    def scores(self, kind: PointwiseKind, outputs: Tensor, everything: Tensor, place: Place) -> Scores:
        """Cross entropy, whatever ``kind`` is; see the base class."""
        target = everything.take_along_dim(place.index, dim=1)
        scored = None if place.scored is None else place.scored.any(dim=-1)
        of_tokens = cross_entropy(outputs.flatten(0, 1), target.flatten(), reduction="none").view(target.shape)
        loss = masked_mean(of_tokens, scored)
        with torch.no_grad():
            seen = place.visible(everything.shape[1], 1 if place.mask is None else place.mask.shape[2]).any(dim=-1)
            n_same = ((target.unsqueeze(2) == everything.unsqueeze(1)) & seen.unsqueeze(1)).sum(dim=2)
            frequency = self.frequency[target]
            of_window = (n_same + frequency) / (seen.sum(dim=1, keepdim=True) + 1)
            return Scores(loss, masked_mean(-frequency.log(), scored), masked_mean(-of_window.log(), scored))
