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
from eegfm.nn.weights import load_weights
from eegfm.objectives.base import Objective
from eegfm.splits.leakage import Seen, SplitTable
from eegfm.splits.persons import some
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


def check_persons(start: CheckpointHeader, splits: SplitTable, params: PretrainParams, phase: str) -> Met:
    """Find the persons that are kept out of this training and that the start has seen.

    Args:
        start: Header of the start.
        splits: Persons and splits of this training.
        params: Whether test persons are allowed.
        phase: Name of the phase, for messages.

    Raises:
        SplitError: The start has seen test persons, and that is not allowed.
    """
    if start.persons is None or start.signals is None:
        return Met()  # imported: unknown here, and unknown in the header of what is trained
    seen = Seen(start.persons, start.signals)
    test = splits.met(splits.recordings_of("test"), seen, {}).persons
    if test and not params.load.allow_test_persons:
        raise SplitError(
            f"{phase} starts from an encoder that was trained on {len(test)} persons who are tested here: "
            f"{some(test)}; start from another one, split again without them, or set {phase}.load.allow_test_persons="
            "true: they are counted, and a probe asks again"
        )
    same_splits = start.splits_sha256 == splits.sha256
    validation = [] if same_splits else splits.met(splits.recordings_of("validation"), seen, {}).persons
    if validation:
        logger.warning(
            "%s starts from an encoder with other splits, which has seen %d persons who are validated on here: %s",
            phase,
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
    encoder: EncoderConfig = params.encoder
    spec = rereference_for(header, data.spec.montages).rereferenced_spec(data.spec)
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


def take_over(
    objective: Objective,
    start: Checkpoint,
    params: PretrainParams,
    met: Met,
    phase: str,
    fit_statistics: Callable[[], None],
) -> dict[str, Any]:
    """Load the weights of a start, all of them and no others, but for exceptions that are named.

    The objective's own weights and statistics are taken where its configuration is the start's. Otherwise they stay
    fresh.

    Args:
        objective: Is changed: it and the backbone that it holds.
        start: Weights and header.
        params: The exceptions.
        met: See ``check_persons``.
        phase: Name of the phase, for messages.
        fit_statistics: Estimates the objective's statistics, behind the backbone of the start. Those that the start has
            count more.

    Returns:
        JSON-ready report: the start, what is accepted of it (``load``), the names of all weights by outcome,
        and the persons met.

    Raises:
        CheckpointError: Weights are missing, unexpected, or of another shape.
    """
    has_own = start.header.objective == params.objective.model_dump(mode="json")
    if objective.auxiliary is not None:  # heads of other classes mean something else by the same numbers
        has_own &= start.header.labels == objective.auxiliary.classes()
    left_out = [] if has_own else [name for name in start.tensors if name.startswith(OBJECTIVE_PREFIX)]
    weights = NamedWeights(objective, has_own=has_own)
    report = load_weights(
        weights,
        {name: value for name, value in start.tensors.items() if name not in left_out},
        "",
        f"start of {phase}",
        exceptions=params.load.exceptions,
        left_out=left_out,
        remedy=f"name what may differ in {phase}.load (allow_missing, allow_unexpected), or start from another encoder",
    )
    state = weights.state_dict()
    own = {name: state[name].clone() for name in report.matched if name.startswith(OBJECTIVE_PREFIX)}
    fit_statistics()
    weights.load_state_dict(weights.state_dict() | own)
    if not has_own:
        logger.info("Objective %s: own weights are fresh, the start was trained with another", params.objective.name)
    return {
        "phase": start.header.phase,
        "fingerprint": start.header.fingerprint,
        "n_steps": start.header.n_steps,
        "weights_sha256": start.weights_sha256(),
        "accepted": params.load.model_dump(mode="json", exclude_defaults=True),
        "summary": report.summary,
        "n_needed": report.n_needed,
        "matched": list(report.matched),
        "missing": list(report.missing),
        "unexpected": list(report.unexpected),
        "left_out": list(report.left_out),
        "objective": "start" if has_own else "fresh",
        "test_persons": met.test,
        "validation_persons": met.validation,
    }


def start_metrics(report: dict[str, Any] | None) -> dict[str, int]:
    """Plain numbers of the report on a start; none without one."""
    if report is None:
        return {}
    return {
        "n_matched": len(report["matched"]),
        "n_missing": len(report["missing"]),
        "n_unexpected": len(report["unexpected"]),
        "n_test_persons_of_start": len(report["test_persons"]),
        "n_validation_persons_of_start": len(report["validation_persons"]),
    }
