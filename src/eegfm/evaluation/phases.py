"""Probes of several phases side by side: did a phase help, on the same persons?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eegfm.evaluation.bootstrap import person_interval
from eegfm.evaluation.config import HeadTraining
from eegfm.evaluation.metrics import paired_difference
from eegfm.evaluation.scores.paired import signed_rank
from eegfm.evaluation.summary import OF_MEANS

SCORES = ("balanced_accuracy", "top1", "r2")
"""Scores that features are compared by."""
_SAME = (
    *("cut", "identities", "splits_sha256", "n_windows", "n_folds", "answer", "classes", "n_candidates"),
    *("evaluation", "n_train_windows", "method", "pooling", "layers", "lambdas", "neighbours", "distance"),
    *("inner_folds", *(f"training_{name}" for name in HeadTraining.model_fields)),
)
"""What the protocols of two probes must say alike for their scores to be paired."""
_KIND = "pretrained"


def compare_phases(probes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Compare the probes of phases, task by task, each with that of the phase before.

    Args:
        probes: Metrics of a probe by phase, in the order of training; see ``eegfm.jobs.probe``.

    Returns:
        By ``corpus.task`` of which two phases or more have a probe. ``score`` names the score, ``phases`` has its
        ``pooled`` value and ``interval_95`` by phase. ``differences`` has by phase, from the second on, the phase it is
        compared ``to``; the differences ``of`` the scores of the same persons (positive in favour of the later phase;
        errors count negative): their ``mean`` with ``interval_95`` from resamples of persons, how many persons
        improved, and Wilcoxon's signed-rank test. Where persons, windows or fits of two phases differ, the task has
        only ``differs``, a sentence that names what does.
    """
    found = {}
    for task in dict.fromkeys(task for metrics in probes.values() for task in metrics):
        of_task = {phase: metrics[task] for phase, metrics in probes.items() if task in metrics}
        if len(of_task) > 1:
            found[task] = _compared(of_task)
    return found


def _compared(phases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    for before, phase in zip(phases, list(phases)[1:], strict=False):
        other = _differing(phases[before]["protocol"], phases[phase]["protocol"])
        if other:
            said = f"The probes of {before} and {phase} differ in {', '.join(other)}: their scores cannot be compared."
            return {"differs": said}
    blocks = {phase: _compared_block(metrics) for phase, metrics in phases.items()}
    score = next(name for name in SCORES if name in next(iter(blocks.values())))
    shown = {phase: {name: block[score][name] for name in ("pooled", "interval_95")} for phase, block in blocks.items()}
    pairs = zip(phases, list(phases)[1:], strict=False)
    differences = {phase: _difference(blocks, before, phase, phases[phase]["protocol"]) for before, phase in pairs}
    simulated = any(metrics["protocol"]["simulated"] for metrics in phases.values())
    return {"score": score, "simulated": simulated, "phases": shown, "differences": differences}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return [name.replace("_", " ") for name in _SAME if first.get(name) != second.get(name)]


def _compared_block(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Scores that features are compared by: of one mean prediction per person, where an answer is of the person."""
    block: Mapping[str, Any] = metrics[_KIND]
    found: Mapping[str, Any] = block.get(OF_MEANS, block)
    return found


def _difference(
    blocks: Mapping[str, Mapping[str, Any]], before: str, phase: str, protocol: Mapping[str, Any]
) -> dict[str, Any]:
    name = next(name for name, score in blocks[phase].items() if isinstance(score, Mapping) and "per_person" in score)
    sign = -1.0 if name == "mae" else 1.0
    own, other = blocks[phase][name]["per_person"], blocks[before][name]["per_person"]
    persons = list(own)
    first, second = (sign * np.array([scores[person] for person in persons]) for scores in (own, other))
    n = len(persons)
    drawn = {"n_resamples": protocol["n_bootstrap"], "seed": protocol["seed"]}
    return {
        "to": before,
        "of": ("-" if sign < 0 else "") + name,
        **paired_difference(first, second, persons),
        "interval_95": list(person_interval(first - second, lambda sums: sums / n, **drawn)),
        "wilcoxon": signed_rank(first - second),
    }
