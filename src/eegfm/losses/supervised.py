"""Losses of the answers of a task.

Shapes: B windows, C classes, K outputs; those of logits and truths by kind are in ``eegfm.targets``.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from eegfm.losses.config import (
    CrossEntropyConfig,
    FocalConfig,
    HuberConfig,
    LossConfig,
    check_loss,
)
from eegfm.losses.labels import LabelLoss, regression_loss
from eegfm.nn.full_precision import full_precision
from eegfm.targets import TargetSpec


def supervised_loss(
    config: LossConfig, target: TargetSpec, logits: Tensor, truths: Tensor, class_weights: Tensor | None = None
) -> LabelLoss:
    """Mean of the losses of all known answers: of every output of every window whose answer is known.

    Args:
        config: Which loss.
        target: The answer.
        logits: (B, ...) as ``eegfm.targets`` says.
        truths: (B,) or (B, K), -1 or NaN for unknown.
        class_weights: Factors of the losses of answers: (C,), (K, 2) for no and yes, or (K, C); see
            ``eegfm.losses.class_weights``. They do not divide the sum, as torch's do: the weight of a window does not
            depend on the others of its batch.

    Raises:
        ConfigError: The loss does not fit the kind of the answer.
    """
    check_loss(config, target)
    _assert_shapes(target, logits, truths)
    if target.kind == "regression":
        return _numbers(config, logits, truths)
    if target.kind == "multilabel":
        return _yes_or_no(config, logits, truths, class_weights)
    return _classes(config, logits, truths, class_weights)


def _assert_shapes(target: TargetSpec, logits: Tensor, truths: Tensor) -> None:
    assert logits.shape[1:] == target.output_shape, f"logits {tuple(logits.shape)} of outputs {target.output_shape}"
    expected = logits.shape[:1] if target.kind in ("binary", "multiclass") else logits.shape[:2]
    assert truths.shape == expected, f"truths {tuple(truths.shape)} of logits {tuple(logits.shape)}"
    is_number = target.kind in ("multilabel", "regression")
    assert truths.is_floating_point() == is_number, f"truths of a {target.kind} answer are no {truths.dtype}"


def _numbers(config: LossConfig, numbers: Tensor, truths: Tensor) -> LabelLoss:
    if isinstance(config, HuberConfig):
        found = regression_loss(numbers, truths, "smooth_l1", beta=config.delta)
        return LabelLoss(found.loss * config.delta, found.n_known)
    return regression_loss(numbers, truths, "l1" if config.name == "l1" else "l2")


@full_precision
def _classes(config: LossConfig, logits: Tensor, truths: Tensor, class_weights: Tensor | None) -> LabelLoss:
    """Loss of one class each. Answers are put in a row: (N, C) logits and (N,) classes, output after output."""
    is_known = truths >= 0
    classes = truths.clamp_min(0)
    flat, wanted = logits.flatten(0, -2), classes.flatten()
    smoothing = config.label_smoothing if isinstance(config, CrossEntropyConfig) else 0.0
    losses = cross_entropy(flat, wanted, reduction="none", label_smoothing=smoothing).view_as(truths)
    if isinstance(config, FocalConfig):
        others = _log_probability_of_others(flat, wanted).view_as(truths)
        losses = losses * (config.gamma * others).exp()
    if class_weights is not None:
        assert class_weights.shape == logits.shape[1:], f"class weights of shape {tuple(class_weights.shape)}"
        weights = class_weights.to(losses).expand_as(logits)
        losses = losses * weights.gather(-1, classes.unsqueeze(-1)).squeeze(-1)
    return _mean_of_known(losses, is_known)


def _log_probability_of_others(logits: Tensor, classes: Tensor) -> Tensor:
    """(N,) log of 1 - p of the class: its gradient stays finite where p is 1, unlike that of a power of 1 - p."""
    is_class = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, classes.unsqueeze(-1), True)
    lowest = torch.finfo(logits.dtype).min
    return logits.masked_fill(is_class, lowest).logsumexp(dim=-1) - logits.logsumexp(dim=-1)


@full_precision
def _yes_or_no(config: LossConfig, logits: Tensor, truths: Tensor, class_weights: Tensor | None) -> LabelLoss:
    is_known = ~truths.isnan()
    # What is unknown is asked for nothing: NaN would be NaN in the gradient, however it is masked later.
    yes = torch.where(is_known, truths, torch.zeros_like(truths)).to(logits)
    losses = binary_cross_entropy_with_logits(logits, yes, reduction="none")
    if isinstance(config, FocalConfig):
        losses = losses * (config.gamma * logsigmoid(logits * (1 - 2 * yes))).exp()
    if class_weights is not None:
        expected = (*logits.shape[1:], 2)
        assert class_weights.shape == expected, f"class weights of shape {tuple(class_weights.shape)}, not {expected}"
        no_weight, yes_weight = class_weights.to(losses).unbind(-1)
        losses = losses * torch.lerp(no_weight.expand_as(yes), yes_weight.expand_as(yes), yes)
    return _mean_of_known(losses, is_known)


def _mean_of_known(losses: Tensor, is_known: Tensor) -> LabelLoss:
    n_known = is_known.sum()
    return LabelLoss(losses.masked_fill(~is_known, 0.0).sum() / n_known.clamp_min(1), n_known)
