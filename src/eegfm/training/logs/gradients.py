"""Contribution of each corpus to the gradient of a step."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from eegfm.training.logs.pending import Reduce


class GradientNorms:
    """Norms of what each corpus adds to the gradient of one step.

    The gradient is looked at after the backward passes of each corpus, and compared with a copy from before: one copy
    of all gradients is in memory, and for a step of one corpus none. Only logged steps pay for it. Where micro-batches
    of one corpus do not follow each other, the norms of their groups add up. Norms stay on the device.

    Args:
        parameters: Whose gradients are looked at.
        corpora: Corpus of each micro-batch of the step, in their order.
        reduce: Gives means over processes, whose gradients are exchanged after the last micro-batch; None in one
            process. A weight without a gradient counts as one of zeros, as another process may have one.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], corpora: Sequence[str], reduce: Reduce | None = None
    ) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._corpora, self._reduce = corpora, reduce
        self._n_seen = 0
        self._before: dict[nn.Parameter, Tensor] = {}
        self.norms: dict[str, Tensor] = {}

    @property
    def is_due(self) -> bool:
        """Tell whether the coming micro-batch is the last of its corpus, so that the gradient is looked at after it."""
        return self._corpora[self._n_seen : self._n_seen + 2].count(self._corpora[self._n_seen]) == 1

    @torch.no_grad()
    def look(self) -> None:
        """Call this after the backward pass of each micro-batch."""
        is_due, corpus = self.is_due, self._corpora[self._n_seen]
        self._n_seen += 1
        if not is_due:
            return
        gradients = {p: p.grad for p in self._parameters if p.grad is not None}
        if self._reduce is None:
            norm = nn.utils.get_total_norm(self._added(gradients))
        else:
            gradients |= {p: torch.zeros_like(p) for p in self._parameters if p.grad is None}
            added = torch.cat([part.flatten() for part in self._added(gradients)])
            norm = nn.utils.get_total_norm([self._reduce(added)])
        self.norms[corpus] = self.norms[corpus] + norm if corpus in self.norms else norm
        if self._n_seen < len(self._corpora):
            self._remember(gradients)

    def _added(self, gradients: dict[nn.Parameter, Tensor]) -> list[Tensor]:
        """Differences from before, up to their sign; they take the place of the copy."""
        known = list(self._before)
        if known:
            torch._foreach_sub_([self._before[p] for p in known], [gradients[p] for p in known])
        return [*self._before.values(), *(g for p, g in gradients.items() if p not in self._before)]

    def _remember(self, gradients: dict[nn.Parameter, Tensor]) -> None:
        known = list(self._before)
        if known:
            torch._foreach_copy_([self._before[p] for p in known], [gradients[p] for p in known])
        self._before |= {p: g.clone() for p, g in gradients.items() if p not in self._before}
