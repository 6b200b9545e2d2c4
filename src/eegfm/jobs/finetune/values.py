"""Give plain values of a finetuning by key and alias, as a training logs them: ``val/auroc``, ``test_acc``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eegfm.checkpoint import CheckpointHeader
from eegfm.evaluation.scores.levels import Level
from eegfm.jobs.finetune.said import Said
from eegfm.jobs.finetune.trained import FINETUNED
from eegfm.losses.config import default_loss
from eegfm.losses.supervised import supervised_loss
from eegfm.metrics.keys import with_aliases
from eegfm.objectives.supervised.config import SupervisedConfig
from eegfm.targets import TargetSpec

_LEAST = float(np.finfo(np.float32).tiny)
_MOST = 1 - 2.0**-25
"""Probabilities are float32, in which 0 and 1 stand for all that is nearer than this. Their logarithms stay finite."""
_WINDOW: Level = "window"


def values_of(
    trained: Iterable[Mapping[str, float]], models: Mapping[str, Any], losses: Sequence[float]
) -> dict[str, float]:
    """Return values of the finetuned model; what is not defined is left out.

    Args:
        trained: Numbers of each training, by name: ``val_auroc`` is that of its published validation.
        models: Scores by model, see ``score_models``; the ``test/…`` are its scores of windows.
        losses: Losses on test windows, one per seed; none for a closed form, which has no loss.
    """
    found: dict[str, list[float]] = {"test/loss": list(losses)} if losses else {}
    for metrics in trained:
        for name, value in metrics.items():
            stage, _, rest = name.partition("_")
            if stage in ("train", "val") and rest:
                found.setdefault(f"{stage}/{rest}", []).append(value)
    values = {name: float(np.mean(own)) for name, own in found.items()}
    for name, score in models[FINETUNED][_WINDOW].items():
        if score["value"] is not None:
            values[f"test/{name}"] = float(score["value"])
    return with_aliases({name: value for name, value in values.items() if np.isfinite(value)})


def losses_of_test(said: Said, headers: Mapping[int, Mapping[str, CheckpointHeader]]) -> list[float]:
    """Return the loss of the finetuned model on all test windows, seed by seed, without class weights.

    Args:
        said: What models said.
        headers: By seed and division, the header of its checkpoint: it says which loss was trained with, and how
            numbers were standardised.
    """
    losses = []
    for seed, by_division in sorted(headers.items()):
        parts = [
            _loss(header, said.target, said.by_model[FINETUNED][seed][name], said.tests[name].truths)
            for name, header in by_division.items()
        ]
        sums = np.array([(loss * n, n) for loss, n in parts]).sum(axis=0)
        losses.append(float(sums[0] / max(sums[1], 1)))
    return losses


def _loss(
    header: CheckpointHeader, target: TargetSpec, said: NDArray[np.float64], truths: NDArray[Any]
) -> tuple[float, int]:
    """Return the mean loss of the known answers, and their number."""
    config = SupervisedConfig.model_validate(header.objective)
    answers = torch.from_numpy(np.array(truths))
    if target.kind == "regression":
        mean, sd = (torch.tensor(given, dtype=torch.float64) for given in (config.mean or (0.0,), config.sd or (1.0,)))
        answers = answers.double().reshape(len(said), -1)
        logits, answers = (torch.from_numpy(said) - mean) / sd, (answers - mean) / sd
    else:
        logits = torch.from_numpy(logits_of(said, target))
    loss, n_known = supervised_loss(config.loss or default_loss(target), target, logits, answers)
    return float(loss), int(n_known)


def logits_of(said: NDArray[np.float64], target: TargetSpec) -> NDArray[np.float64]:
    """Return logits that give probabilities: log-probabilities of classes, log-odds of yes."""
    if target.kind == "multilabel":
        p = np.clip(said, _LEAST, _MOST)
        return np.asarray(np.log(p) - np.log1p(-p))
    return np.asarray(np.log(np.clip(said, _LEAST, 1.0)))
