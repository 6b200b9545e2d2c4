"""Start a training from an encoder: its persons, its signals, its weights, and the report on them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from eegfm.adapters.load import new_adapter
from eegfm.batch import SignalSpec
from eegfm.checkpoint import Checkpoint, CheckpointHeader
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import CheckpointError, SplitError
from eegfm.inference.backbone import rereference_for
from eegfm.inference.compatibility import check_channels, check_prepared
from eegfm.inference.encoder_code import refuse_other_code
from eegfm.jobs.train.data import TrainingData
from eegfm.jobs.train.job import TrainingJob
from eegfm.nn.load_report import LoadReport
from eegfm.nn.weights import load_weights
from eegfm.objectives.base import Objective
from eegfm.splits.leakage import Seen, SplitTable
from eegfm.splits.persons import some
from eegfm.training.blocks import LoadParams, SupervisedLoadParams
from eegfm.training.config import PretrainParams
from eegfm.training.tensors import OBJECTIVE_PREFIX, NamedWeights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Met:
    """Persons here that the start was trained or validated on.

    Args:
        test: Those of split ``test``.
        validation: Those of split ``validation``, where the start was made with other splits: it may have been trained
            on them. With the same splits it was only validated on them.
    """

    test: list[str] = field(default_factory=list)
    validation: list[str] = field(default_factory=list)


def check_persons(
    start: CheckpointHeader,
    splits: SplitTable,
    params: PretrainParams,
    phase: str,
    verb: str = "starts from an encoder",
    remedy: str = "start from another one",
) -> Met:
    """Find the persons that are kept out of this training and that the start, or the tokenizer, has seen.

    Args:
        start: Header of the start or of the tokenizer.
        splits: Persons and splits of this training.
        params: Whether test persons are allowed.
        phase: Name of the phase, for messages.
        verb: What the phase does with it.
        remedy: What helps.

    Raises:
        SplitError: It has seen test persons, and that is not allowed.
    """
    if start.persons is None or start.signals is None:
        return Met()  # imported: unknown here, and unknown in the header of what is trained
    seen = Seen(start.persons, start.signals)
    test = splits.met(splits.recordings_of("test"), seen, {}).persons
    if test and not params.load.allow_test_persons:
        raise SplitError(
            f"{phase} {verb} that was trained on {len(test)} persons who are tested here: "
            f"{some(test)}; {remedy}, split again without them, or set {phase}.load.allow_test_persons="
            "true: they are counted, and a probe asks again"
        )
    same_splits = start.splits_sha256 == splits.sha256
    validation = [] if same_splits else splits.met(splits.recordings_of("validation"), seen, {}).persons
    if validation:
        logger.warning(
            "%s %s with other splits, which has seen %d persons who are validated on here: %s",
            phase,
            verb,
            len(validation),
            some(validation),
        )
    return Met(test, validation)


def check_fit(start: Checkpoint, params: PretrainParams, data: TrainingData, phase: str) -> None:
    """Refuse a start that other code made, or that expects other signals.

    Raises:
        CheckpointError: Code, rate, filters, channels or lengths of windows differ from the start's.
    """
    header = start.header
    refuse_other_code(header, accept=params.load.accept_other_code, key=f"{phase}.load.accept_other_code")
    check_prepared(header, data.spec.rate_hz, data.filters, f"the corpora of {phase}")
    check_windows(header, params, data.spec, phase)


def check_windows(header: CheckpointHeader, params: PretrainParams, spec: SignalSpec, phase: str) -> None:
    """Refuse windows that a start is not for.

    Args:
        header: Header of the start.
        params: Choices, completed by the start.
        spec: Describes the windows, as recorded.
        phase: Name of the phase, for messages.

    Raises:
        CheckpointError: The start is tied to other channels or to another length of windows.
    """
    encoder: EncoderConfig = params.encoder
    spec = rereference_for(header, spec.montages).rereferenced_spec(spec)
    if encoder.traits.one_montage:
        check_channels(header, new_adapter(params.adapter, spec, params.seed).adapted_spec(spec).montages)
    if encoder.traits.one_length:
        [expected] = set(SignalSpec.from_dict(header.encoder_spec).n_samples.values())
        others = sorted(set(spec.n_samples.values()) - {expected})
        if others:
            raise CheckpointError(
                f"windows of {others[0]} samples: the start is tied to windows of {expected} samples; cut all corpora "
                f"of {phase} into windows of {expected / spec.rate_hz:g} s"
            )


def take_over(objective: Objective, job: TrainingJob, met: Met, fit_statistics: Callable[[], None]) -> dict[str, Any]:
    """Load the weights of a start, all of them and no others, but for exceptions that are named.

    The objective's own weights and statistics are taken where its configuration is the start's, and its tokenizer, if
    it has one. Otherwise they stay fresh. A supervised training takes the head of the start only if it is told to.

    Args:
        objective: Is changed: it and the backbone that it holds.
        job: The training, which has a start; its parameters name the exceptions.
        met: See ``check_persons``.
        fit_statistics: Estimates the objective's statistics, behind the backbone of the start. Those that the start has
            count more.

    Returns:
        JSON-ready report: the start, what is accepted of it (``load``), the names of all weights by outcome,
        and the persons met.

    Raises:
        CheckpointError: Weights are missing, unexpected, or of another shape, or the start lacks a head to keep.
    """
    assert job.start is not None
    tensors, has_own = job.start.tensors, _takes_own(objective, job, job.start.header)
    left_out = [] if has_own else [name for name in tensors if name.startswith(OBJECTIVE_PREFIX)]
    weights = NamedWeights(objective, has_own=has_own)
    load = f"{job.phase}.load (allow_missing, allow_unexpected)"
    report = load_weights(
        weights,
        {name: value for name, value in tensors.items() if name not in left_out},
        "",
        f"start of {job.phase}",
        exceptions=job.params.load.exceptions,
        left_out=left_out,
        remedy=f"name what may differ in {load}, or start from another encoder",
    )
    state = weights.state_dict()
    own = {name: state[name].clone() for name in report.matched if name.startswith(OBJECTIVE_PREFIX)}
    fit_statistics()
    weights.load_state_dict(weights.state_dict() | own)
    if not has_own:
        _log_fresh(job)
    return _told(job.start, job.params.load, report, met) | {"objective": "start" if has_own else "fresh"}


def _log_fresh(job: TrainingJob) -> None:
    if isinstance(job.params.load, SupervisedLoadParams):
        logger.info("%s: the head is fresh (%s.load.head)", job.phase, job.phase)
    else:
        name = job.params.objective.name
        logger.info("Objective %s: own weights are fresh, the start was trained with another", name)


def _takes_own(objective: Objective, job: TrainingJob, start: CheckpointHeader) -> bool:
    """Return whether the objective's own weights are those of the start.

    Raises:
        CheckpointError: The head of the start is to be kept, and the start has none of this objective.
    """
    load, has_own = job.params.load, _has_own(objective, job, start)
    if not isinstance(load, SupervisedLoadParams):
        return has_own
    if load.head == "keep" and not has_own:
        raise CheckpointError(
            f"{job.phase}.load.head is keep, but the start has no head that was trained with this objective (the same "
            f"question, head, loss and statistics of training persons); leave {job.phase}.load.head out, and the head "
            "is fresh"
        )
    return load.head == "keep"


def _has_own(objective: Objective, job: TrainingJob, start: CheckpointHeader) -> bool:
    """Return whether the objective's own weights mean in the start what they mean here."""
    if start.objective != job.params.objective.model_dump(mode="json"):
        return False
    if objective.auxiliary is not None and start.labels != objective.auxiliary.classes():
        return False  # heads of other classes mean something else by the same numbers
    return start.tokenizer == (job.tokenizer.weights_sha256() if job.tokenizer else None)


def _told(start: Checkpoint, load: LoadParams, report: LoadReport, met: Met) -> dict[str, Any]:
    """Put the report on a start together."""
    return {
        "phase": start.header.phase,
        "fingerprint": start.header.fingerprint,
        "n_steps": start.header.n_steps,
        "weights_sha256": start.weights_sha256(),
        "accepted": load.model_dump(mode="json", exclude_defaults=True),
        "summary": report.summary,
        "n_needed": report.n_needed,
        "matched": list(report.matched),
        "missing": list(report.missing),
        "unexpected": list(report.unexpected),
        "left_out": list(report.left_out),
        "test_persons": met.test,
        "validation_persons": met.validation,
    }


def start_metrics(report: dict[str, Any] | None) -> dict[str, int]:
    """Return plain numbers of the report on a start; none without one."""
    if report is None:
        return {}
    return {
        "n_matched": len(report["matched"]),
        "n_missing": len(report["missing"]),
        "n_unexpected": len(report["unexpected"]),
        "n_test_persons_of_start": len(report["test_persons"]),
        "n_validation_persons_of_start": len(report["validation_persons"]),
    }
