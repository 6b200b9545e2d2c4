"""Protocol of a probe for its metrics."""

from importlib.metadata import version
from typing import Any

from eegfm.checkpoint import CheckpointHeader
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers, Scored
from eegfm.evaluation.config import UNUSED_BY_RETRIEVAL, ProbeParams
from eegfm.evaluation.order import label_order
from eegfm.evaluation.retrieval import MomentAnswers
from eegfm.inference.encoder_code import other_code
from eegfm.jobs.probe.exposure import Exposure
from eegfm.jobs.probe.trials import Trials


def describe_protocol(
    header: CheckpointHeader,
    trials: Trials,
    params: ProbeParams,
    *,
    exposure: Exposure,
    splits_sha256: str,
    n_looks_before: int | None,
    is_simulated: bool,
) -> dict[str, Any]:
    """Describe the probe of a task completely enough to repeat and to judge it.

    Args:
        header: Header of the encoder.
        trials: Windows of the task.
        params: All choices.
        exposure: Test persons that the encoder was, or may have been, trained on.
        splits_sha256: Hash of the splits.
        n_looks_before: How often other runs had scored these persons on this task before; None if unknown.
        is_simulated: Whether the signals are simulated.
    """
    fit = trials.task.fit
    by_method = ("lambdas",) if fit.method == "knn" else ("neighbours", "distance")
    unused = {
        "tasks",
        *((*UNUSED_BY_RETRIEVAL, "label_ratios") if trials.task.asked.kind == "retrieval" else by_method),
    }
    asked = {**params.identity(), **fit.identity()}
    # z-scores of a person use all its windows at once, so no row changes if a person's windows are reversed in time.
    answers = trials.answers
    ordered = label_order(trials.windows, trials.persons, answers) if isinstance(answers, ClassAnswers) else {}
    return {
        "corpus": trials.task.corpus,
        "task": trials.task.name,
        "cut": trials.task.cut,
        **{name: value for name, value in asked.items() if name not in unused},
        **_answers(trials.answers, "knn" if fit.method == "knn" else "ridge"),
        **ordered,
        "order_dependent_rows": [],
        "n_looks_before": n_looks_before,
        "simulated": is_simulated,
        "n_windows": len(trials.windows),
        "n_persons": len(trials.names),
        "identities": list(trials.names),
        "n_folds": int(trials.folds.max()) + 1,
        **exposure.to_dict(),
        "splits_sha256": splits_sha256,
        "bad_channels": header.bad_channels,
        "pretraining": {
            "phase": header.phase,
            "fingerprint": header.fingerprint,
            "corpora": header.corpora,
            "simulated": [corpus in header.simulated_corpora for corpus in header.corpora],
            "seed": header.seed,
            "n_steps": header.n_steps,
            "splits_sha256": header.splits_sha256,
            "mixture_sha256": header.mixture_sha256,
            "license": header.license,
            "imported": header.imported.model_dump(mode="json") if header.imported else None,
            "parents": [parent.model_dump(mode="json") for parent in header.parents],
        },
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch")},
        "other_code": other_code(header),
    }


def _answers(answers: Scored, method_of_numbers: str) -> dict[str, Any]:
    """Kind of the answers, and how they are distributed."""
    if isinstance(answers, ClassAnswers):
        per_class = dict(zip(answers.classes, answers.counts.tolist(), strict=True))
        return {"answer": "class", "classes": list(answers.classes), "n_windows_per_class": per_class}
    if isinstance(answers, MomentAnswers):
        n_counted = int(answers.moments.counted(answers.n_candidates).sum())
        return {"answer": "moment", "n_candidates": answers.n_candidates, "n_windows_asked": n_counted}
    assert isinstance(answers, NumberAnswers)
    spread = {"mean": float(answers.numbers.mean()), "standard_deviation": float(answers.numbers.std())}
    # What was asked for classes does not hold here.
    own = {"method": method_of_numbers} | ({"transductive": False} if answers.is_of_person else {})
    return {"answer": "number", "is_of_person": answers.is_of_person, **spread, **own}
