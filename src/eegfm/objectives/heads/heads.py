"""Auxiliary heads, and their losses.

Shapes: B windows, D features, K classes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eegfm.losses.labels import classification_loss, regression_loss
from eegfm.mixture.labels import LabelFacts
from eegfm.nn.context import heads_seed
from eegfm.nn.full_precision import full_precision
from eegfm.nn.weights import build_seeded
from eegfm.objectives.heads.config import AuxiliaryConfig, HeadConfig

Labels = Mapping[str, LabelFacts]
"""What the training persons tell of each label, by its name."""
NO_LABELS: Labels = MappingProxyType({})


class HeadsOutput(NamedTuple):
    """Losses of all heads on one micro-batch.

    Args:
        loss: Their weighted sum.
        logs: Detached scalars; see ``AuxiliaryHeads``.
    """

    loss: Tensor
    logs: dict[str, Tensor]


class LabelHead(nn.Module):
    """Two linear maps with ReLU and dropout between them.

    The label's mean and standard deviation are part of its state: it predicts standardised numbers.

    Args:
        config: Choices.
        facts: What the training persons tell of the label.
        d_features: Width D of the features.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, config: HeadConfig, facts: LabelFacts, d_features: int) -> None:
        super().__init__()
        assert facts.kind == config.kind, f"{config.name} was read as {facts.kind}"
        self.config, self.classes = config, facts.classes
        first, last = nn.Linear(d_features, config.hidden), nn.Linear(config.hidden, len(facts.classes) or 1)
        self.layers = nn.Sequential(first, nn.ReLU(), nn.Dropout(config.dropout), last)
        if config.kind == "regression":
            self.register_buffer("mean", torch.tensor(facts.mean))
            self.register_buffer("sd", torch.tensor(facts.sd))

    def forward(self, features: Tensor) -> Tensor:
        """(B, D) features to (B,) standardised numbers, or to (B, K) logits."""
        found: Tensor = self.layers(features)
        return found.squeeze(1) if self.config.kind == "regression" else found

    def predict(self, features: Tensor) -> Tensor:
        """(B, D) features to (B,) numbers in the label's unit, or to (B, K) probabilities."""
        found: Tensor = self(features).float()
        return found * self.sd + self.mean if self.config.kind == "regression" else found.softmax(dim=-1)

    def losses(self, features: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of the losses of the windows whose label is known over all B windows, and what to log.

        Over all windows, so that a label counts as much whoever else is in the micro-batch: the parts of several ranks
        or of an accumulated gradient add up to the whole micro-batch.

        Args:
            features: (B, D).
            target: (B,) numbers, NaN for unknown, or int64 classes, -1 for unknown.
        """
        assert target.shape == features.shape[:1], f"labels {tuple(target.shape)} of features {tuple(features.shape)}"
        found = self(features)
        if self.config.kind == "regression":
            loss, n_known = regression_loss(found, (target - self.mean) / self.sd)
            error = ((found.detach().float() * self.sd + self.mean) - target).abs()
            score = {"mae": error.nansum()}
        else:
            loss, n_known = classification_loss(found, target)
            score = {"accuracy": (found.detach().argmax(dim=1) == target).sum()}
        n_windows = len(features)
        loss = loss * (n_known / n_windows)
        logs = {"loss": loss.detach(), **{name: value / n_windows for name, value in score.items()}}
        return loss, {**logs, "known": n_known / n_windows}


class AuxiliaryHeads(nn.Module):
    """Predict labels from pooled features, each known label of a window once.

    Logs hold, for each head, means over all windows of ``<name>_loss``, ``<name>_mae`` in the label's unit or
    ``<name>_accuracy``, and ``<name>_known``, the share of the windows whose label is known: what the logs divide by.
    With learned weights also ``<name>_variance``. ``auxiliary_loss`` is the weighted sum.

    Args:
        config: Choices.
        labels: What the training persons tell of the label of each head.
        d_features: Width D of the features.
    """

    def __init__(self, config: AuxiliaryConfig, labels: Labels, d_features: int) -> None:
        super().__init__()
        self.config = config
        # Not by name: a label may be called like a method of torch's.
        self.heads = nn.ModuleList(LabelHead(head, labels[head.name], d_features) for head in config.heads)
        self.log_variances: nn.Parameter | None = None
        if config.weighting == "uncertainty":
            self.log_variances = nn.Parameter(torch.zeros(len(config.heads)))

    def forward(self, features: Tensor, targets: Mapping[str, Tensor]) -> HeadsOutput:
        """Compute the losses of all heads.

        Args:
            features: (B, D) pooled features of windows.
            targets: Labels by name, (B,) each; see ``LabelHead.losses``.
        """
        total = features.new_zeros((), dtype=torch.float32)
        logs: dict[str, Tensor] = {}
        for number, head in enumerate(self._all()):
            name = head.config.name
            assert name in targets, f"batches hold {sorted(targets)}, not {name}"
            loss, found = head.losses(features, targets[name])
            total = total + head.config.weight * self._weighed(number, loss, found["known"])
            logs |= {f"{name}_{key}": value for key, value in found.items()}
            if self.log_variances is not None:
                logs[f"{name}_variance"] = self.log_variances[number].detach().exp()
        total = self.config.weight * total
        return HeadsOutput(total, {**logs, "auxiliary_loss": total.detach()})

    @torch.no_grad()
    def predict(self, features: Tensor) -> dict[str, Tensor]:
        """Return, by label, what each head says of (B, D) features; see ``LabelHead.predict``."""
        return {head.config.name: head.predict(features) for head in self._all()}

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Return, by label, the names of its classes by number; none of a number."""
        return {head.config.name: head.classes for head in self._all()}

    def _all(self) -> list[LabelHead]:
        return [head for head in self.heads if isinstance(head, LabelHead)]

    def _weighed(self, number: int, loss: Tensor, known: Tensor) -> Tensor:
        if self.log_variances is None:
            return loss
        is_number = self.config.heads[number].kind == "regression"
        return uncertainty_loss(loss, known, self.log_variances[number], is_number=is_number)


def new_heads(config: AuxiliaryConfig, labels: Labels, d_features: int) -> AuxiliaryHeads:
    """Build the heads of an objective whose weights are drawn by torch's generator.

    Their weights follow from the seed of that generator, whose state stays: the objective has the same weights with
    heads and without.

    Args:
        config: Choices.
        labels: What the training persons tell of each label; all that the heads name are there.
        d_features: Width of the features.
    """
    missing = sorted(config.kinds.keys() - labels.keys())
    assert not missing, f"whoever builds the objective knows the labels of its heads, but not {missing}"
    heads = build_seeded(config, heads_seed(torch.initial_seed()), labels, d_features)
    assert isinstance(heads, AuxiliaryHeads)
    return heads


@full_precision
def uncertainty_loss(loss: Tensor, known: Tensor, log_variance: Tensor, *, is_number: bool) -> Tensor:
    """Negative log likelihood of labels with a learned variance s (Kendall et al. 2018, arXiv 1705.07115, section 3.2).

    Of numbers ``loss / (2 s) + log(s) / 2`` (eq. 5), of classes ``loss / s + log(s) / 2`` (eq. 10), where every label
    is known: at the best s, the first is the loss itself, the second twice the loss.

    Args:
        loss: () sum of the losses of known labels over the number of all windows.
        known: () share of the windows whose label is known.
        log_variance: () logarithm of s.
        is_number: Whether the label is a number.
    """
    scale = 0.5 if is_number else 1.0
    return scale * (-log_variance).exp() * loss + 0.5 * known * log_variance
