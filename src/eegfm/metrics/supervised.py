"""Metrics of a training with answers: pooled over an epoch and over all ranks, from probabilities.

Torchmetrics pools. The scores are ours, in float64 (``eegfm.metrics.scoring``): torchmetrics's own are 0 where a metric
is not defined, and float32.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from eegfm.metrics.scoring.tally import point_scores
from eegfm.targets import TargetSpec


class SupervisedMetrics(nn.Module):
    """All metrics of a target over the windows of an epoch.

    No average of batches is taken: the answered windows of all batches and ranks are scored at once, so that sizes of
    batches do not matter. Batches stay on their device until ``compute``. The room ``eegfm.metrics.scoring`` defines
    each metric.

    Args:
        target: What the windows are asked for.
    """

    def __init__(self, target: TargetSpec) -> None:
        super().__init__()
        self.target = target
        self.pool = _Pool()

    def update(self, probabilities: Tensor, truths: Tensor) -> None:
        """Add the windows of a batch.

        Args:
            probabilities: What the model says, see ``eegfm.targets``: after softmax or sigmoid. They are kept in
                float32.
            truths: The true answers, see there; unknown ones are left out.
        """
        for name, values, empty in zip(
            ("probabilities", "truths"), (probabilities, truths), self._empty(), strict=True
        ):
            expected = (len(truths), *empty.shape[1:])
            assert values.shape == expected, f"{name} {tuple(values.shape)}, expected {expected}"
        self.pool.update(probabilities, truths)

    def compute(self) -> dict[str, float]:
        """Return the metrics by name, see ``eegfm.metrics.names.metric_names``; NaN where one is not defined.

        Every rank must call it, also one that had no window: the windows of all ranks are gathered. With NCCL, windows
        must be on the GPU, and this module too, for a rank that has none.

        Raises:
            TrainingError: A prediction is not finite.
        """
        # Nothing is added. But a rank without a window takes part with tensors of the right shape.
        self.pool.update(*self._empty())
        # Torchmetrics takes a single number out of its dimensions.
        probabilities, truths = (
            pooled.reshape(-1, *empty.shape[1:]).cpu().numpy()
            for pooled, empty in zip(self.pool.compute(), self._empty(), strict=True)
        )
        return point_scores(self.target, probabilities, truths)

    def reset(self) -> None:
        """Forget all windows."""
        self.pool.reset()

    def _empty(self) -> tuple[Tensor, Tensor]:
        """Return probabilities and truths of no windows, where those of the others are."""
        kept = self.pool.truths
        device = kept[0].device if len(kept) else self.pool.device
        shape = self.target.output_shape
        counts = self.target.kind not in ("multilabel", "regression")
        answers = shape[:-1] if counts else shape
        dtype = torch.int64 if counts else torch.float32
        return torch.zeros(0, *shape, device=device), torch.zeros(0, *answers, dtype=dtype, device=device)


class _Pool(Metric):
    """The windows of an epoch, of all ranks where they are computed."""

    full_state_update = False
    probabilities: list[Tensor] | Tensor
    truths: list[Tensor] | Tensor

    def __init__(self) -> None:
        super().__init__(compute_with_cache=False)  # no second copy of all windows stays behind
        self.add_state("probabilities", default=[], dist_reduce_fx="cat")
        self.add_state("truths", default=[], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, truths: Tensor) -> None:
        """Keep the windows of a batch."""
        # Ranks gather one type: numbers in float32, classes in int64.
        answers = truths.float() if truths.is_floating_point() else truths.long()
        for kept, new in ((self.probabilities, probabilities.float()), (self.truths, answers)):
            assert isinstance(kept, list), "windows of all ranks are added to"
            kept.append(new.detach().clone())

    def compute(self) -> Any:
        """Return the windows."""
        return dim_zero_cat(self.probabilities), dim_zero_cat(self.truths)
