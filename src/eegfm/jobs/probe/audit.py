"""Audit what a probe's features tell of persons, beside every result."""

from collections.abc import Mapping
from typing import Any

from eegfm.evaluation.answers import Answers
from eegfm.evaluation.identity import halves_of_persons, identity_audit, mean_audit
from eegfm.jobs.probe.features import FeatureSets
from eegfm.jobs.probe.trials import Trials


def audits(features: FeatureSets, trials: Trials, metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Audit each kind of features on the tested windows, averaged over initialisations; see ``identity_audit``.

    ``transductive_gap`` is by how much the first score, pooled over windows, is better with features z-scored per
    person; it is left out where there is no such row.

    Args:
        features: Features by kind.
        trials: The windows.
        metrics: Scores by kind.
    """
    tested = trials.tested
    halves = halves_of_persons(tested.windows, tested.persons)
    answers = tested.answers if isinstance(tested.answers, Answers) else None
    first = next(iter(tested.answers.measures))
    found = {}
    for kind, inits in features.items():
        own = inits if tested is trials else [values[trials.is_tested] for values in inits]
        found[kind] = mean_audit([identity_audit(values, tested.persons, halves, answers) for values in own])
        if "transductive" in metrics[kind]:
            transductive = metrics[kind]["transductive"][first]["pooled"]
            found[kind]["transductive_gap"] = transductive - metrics[kind][first]["pooled"]
    return found
