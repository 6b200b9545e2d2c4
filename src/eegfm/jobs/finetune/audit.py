"""Audit what the features of a finetuning tell of persons, beside every result.

Shapes: T test windows of a division, F features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eegfm.evaluation.answers import Answers, ClassAnswers, NumberAnswers
from eegfm.evaluation.identity import halves_of_persons, identity_audit
from eegfm.evaluation.order import label_order
from eegfm.jobs.finetune.said import Said, TestWindows
from eegfm.metrics.names import primary_metric
from eegfm.metrics.scoring.tally import point_scores
from eegfm.targets import TargetSpec

Audit = dict[str, float | None]


def audit_of(features: NDArray[np.floating], test: TestWindows, target: TargetSpec) -> Audit:
    """Audit the features of the test windows of a division; see ``identity_audit``.

    Args:
        features: (T, F), or (T, L, F) of several layers.
        test: The windows.
        target: What is asked; answers of several outputs are not looked at.
    """
    persons = _persons(test)
    halves = halves_of_persons(test.windows, persons)
    return identity_audit(features, persons, halves, _answers(test.truths, target))


def mean_audits(audits: Mapping[str, Sequence[Audit]]) -> dict[str, Audit]:
    """Average the audits of each model over seeds and divisions; over those in which a value is known."""
    return {model: _mean(found) for model, found in audits.items()}


def _mean(audits: Sequence[Audit]) -> Audit:
    found: Audit = {}
    for key in audits[0]:
        known = [value for audit in audits if (value := audit[key]) is not None and np.isfinite(value)]
        found[key] = float(np.mean(known)) if known else None
    return found


def transductive_gaps(said: Said, zscored: Said) -> dict[str, float]:
    """Return by how much the answers of each model are better where features were z-scored per person.

    Scores are those of windows that models are compared by; a gap that is not defined is left out.

    Args:
        said: What models said.
        zscored: What some of them said of features that were z-scored per person.
    """
    gaps = {model: _score(zscored, model) - _score(said, model) for model in zscored.by_model}
    return {model: gap for model, gap in gaps.items() if np.isfinite(gap)}


def _score(said: Said, model: str) -> float:
    """Return the score of the first initialisation, the only one that ``zscored`` has."""
    return point_scores(said.target, said.runs(model)[0], said.truths)[primary_metric(said.target)]


def order_of_label(said: Said) -> dict[str, Any]:
    """Tell whether the classes of the test windows follow the order of recording; see ``label_order``.

    Every model answers each window by itself, so that no row changes if a person's windows are reversed in time. Other
    answers have no such order: nothing is told.
    """
    answers = _answers(said.truths, said.target)
    if not isinstance(answers, ClassAnswers):
        return {}
    windows = said.windows
    persons = np.unique(windows["identity"].to_numpy(dtype=str), return_inverse=True)[1]
    return {**label_order(windows, persons, answers), "order_dependent_rows": []}


def _persons(test: TestWindows) -> NDArray[np.int64]:
    return np.unique(test.windows["identity"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)


def _answers(truths: NDArray[Any], target: TargetSpec) -> Answers | None:
    """Return a class or a number per window; None for answers of several outputs, and where an answer is unknown."""
    if target.kind in ("binary", "multiclass") and (truths >= 0).all():
        return ClassAnswers(truths.astype(np.int64), target.classes)
    if target.kind == "regression":
        numbers = truths.reshape(len(truths), -1).astype(np.float64)
        if numbers.shape[1] == 1 and not np.isnan(numbers).any():
            return NumberAnswers(numbers[:, 0], is_of_person=False)
    return None
