"""Protocol of a probe for its metrics."""

from importlib.metadata import version
from typing import Any

from eegfm.checkpoint import CheckpointHeader
from eegfm.evaluation.answers import ClassAnswers, NumberAnswers, Scored
from eegfm.evaluation.config import UNUSED_BY, UNUSED_BY_RETRIEVAL, FitParams, ProbeParams
from eegfm.evaluation.order import label_order
from eegfm.evaluation.retrieval import MomentAnswers
from eegfm.inference.encoder_code import other_code
from eegfm.jobs.probe.exposure import Exposure
from eegfm.jobs.probe.trials import Trials
from eegfm.splits.leakage import TRAINED, SplitTable


def describe_protocol(
    header: CheckpointHeader,
    trials: Trials,
    params: ProbeParams,
    *,
    exposure: Exposure,
    splits: SplitTable,
    n_looks_before: int | None,
    is_simulated: bool,
) -> dict[str, Any]:
    """Describe the probe of a task completely enough to repeat and to judge it.

    Args:
        header: Header of the encoder.
        trials: Windows of the task.
        params: All choices.
        exposure: Test persons that the encoder was, or may have been, trained on.
        splits: Persons and splits.
        n_looks_before: How often other runs had scored these persons on this task before; None if unknown.
        is_simulated: Whether the signals are simulated.
    """
    tested = trials.tested
    # z-scores of a person use all its windows at once, so no row changes if a person's windows are reversed in time.
    answers = tested.answers
    ordered = label_order(tested.windows, tested.persons, answers) if isinstance(answers, ClassAnswers) else {}
    return {
        "corpus": trials.task.corpus,
        "task": trials.task.name,
        "cut": trials.task.cut,
        **_choices(trials, params),
        **_answers(answers, _method_of_numbers(trials.task.fit)),
        **ordered,
        "order_dependent_rows": [],
        "n_looks_before": n_looks_before,
        "simulated": is_simulated,
        **_persons(trials, splits),
        **exposure.to_dict(),
        "splits_sha256": splits.sha256,
        "bad_channels": header.bad_channels,
        "pretraining": _pretraining(header),
        "versions": {name: version(name) for name in ("eegfm", "numpy", "scipy", "torch")},
        "other_code": other_code(header),
    }


def _choices(trials: Trials, params: ProbeParams) -> dict[str, Any]:
    """Return all choices that something reads."""
    fit = trials.task.fit
    of_retrieval = (*UNUSED_BY_RETRIEVAL, "label_ratios", "evaluation")
    unused = {"tasks", *(of_retrieval if trials.task.asked.kind == "retrieval" else UNUSED_BY[fit.method])}
    found = {name: value for name, value in {**params.identity(), **fit.identity()}.items() if name not in unused}
    if not fit.is_trained:
        return found
    # Plain values, because the report shows no others.
    training = {f"training_{name}": value for name, value in found.pop("training").items()}
    return found | training | {"method_of_controls": fit.closed.method}


def _method_of_numbers(fit: FitParams) -> str:
    return "ridge" if fit.method == "logistic" else fit.method


def _persons(trials: Trials, splits: SplitTable) -> dict[str, Any]:
    """Say who is tested and, where these are others, who is trained on."""
    tested, is_trained = trials.tested, ~trials.is_tested
    found = {
        "n_windows": len(tested.windows),
        "n_persons": len(tested.names),
        "identities": list(tested.names),
        "n_folds": int(tested.folds.max()) + 1,
    }
    if not is_trained.any():
        return found
    n_persons = trials.windows.loc[is_trained].groupby("split")["identity"].nunique()
    return found | {
        "n_train_windows": int(is_trained.sum()),
        **{f"n_{name}_persons": int(n_persons.get(name, 0)) for name in TRAINED},
        "tested_for": splits.reasons(tested.names),
    }


def _pretraining(header: CheckpointHeader) -> dict[str, Any]:
    return {
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
    }


def _answers(answers: Scored, method_of_numbers: str) -> dict[str, Any]:
    """Describe the kind of the answers, and how they are distributed."""
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
