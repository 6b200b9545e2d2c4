"""Parameters of a training that starts from an encoder: what the start decides. No torch here."""

from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from eegfm.checkpoint import CheckpointHeader
from eegfm.config import StrictModel, first_problem
from eegfm.errors import CheckpointError, ConfigError
from eegfm.normalizations.said import normalization_of
from eegfm.objectives.base_config import EncoderFacts
from eegfm.provenance import differences
from eegfm.training.config import PretrainParams

OF_THE_START = ("encoder", "adapter", "normalization", "reference", "bad_channels")
"""Parameters that a start decides: all that stands between stored microvolts and encoded vectors."""
_FIELDS: dict[str, Any] = {name: (f.annotation, f) for name, f in PretrainParams.model_fields.items()}
_OfTheStart = create_model("_OfTheStart", __base__=StrictModel, **{name: _FIELDS[name] for name in OF_THE_START})


def with_start(params: PretrainParams, header: CheckpointHeader | None, phase: str) -> PretrainParams:
    """Complete parameters by what the start decides; without a start they stay as they are.

    Args:
        params: As configured; what the start decides may be left out.
        header: Header of the start, None for weights from a seed.
        phase: Name of the phase, for messages.

    Raises:
        ConfigError: A parameter differs from the start's, exceptions are named without a start, the objective does
            not suit the start's encoder, or an adapter without weights is frozen.
        CheckpointError: The start's configuration is not on the menu.
    """
    if header is None:
        if params.load != type(params.load)():
            raise ConfigError(
                f"{phase}.load is {params.load.model_dump(mode='json', exclude_defaults=True)}, but nothing is loaded: "
                f"{phase} starts from scratch; leave {phase}.load out, or start from an encoder"
            )
        refuse_frozen_adapter(params, phase)
        return params
    decided = decided_by(header)
    given, found = params.model_dump(mode="json"), decided.model_dump(mode="json")
    for name in OF_THE_START:
        is_given = name in params.model_fields_set and given[name] is not None
        for key, value, true in differences({name: given[name]}, {name: found[name]}, phase) if is_given else ():
            raise ConfigError(
                f"parameter {key} is {value!r}, that of the start is {true!r}; leave {phase}.{name} out, or start from "
                "another encoder"
            )
    updated = params.model_copy(update={name: getattr(decided, name) for name in OF_THE_START})
    try:
        facts = EncoderFacts.of(updated.encoder, updated.chosen_normalization, updated.adapter, is_of_start=True)
        params.objective.check_encoder(facts)
        params.optimizer.check_model(updated.adapter, updated.encoder, is_of_start=True)
    except ConfigError as error:
        raise ConfigError(f"{phase} starts from encoder {header.encoder['name']}: {error}") from error
    try:
        completed = type(params).model_validate(updated.model_dump())
    except ValidationError as error:
        raise ConfigError(f"{phase} starts from encoder {header.encoder['name']}: {first_problem(error)}") from error
    refuse_frozen_adapter(completed, phase)
    return completed


def refuse_frozen_adapter(params: PretrainParams, phase: str) -> None:
    """Refuse to freeze an adapter that has no weights. The adapter is known: configured, or that of the start.

    Raises:
        ConfigError: It has none.
    """
    parts = [part for rule in params.freeze for part in rule.parts if part.partition(".")[0] == "adapter"]
    if parts and not params.adapter.has_weights:
        raise ConfigError(
            f"{phase}.freeze.parts names {parts[0]!r}, but adapter {params.adapter.name} has no weights; leave it out"
        )


def decided_by(header: CheckpointHeader) -> BaseModel:
    """Return what a start decides: a value of each name in ``OF_THE_START``.

    Raises:
        CheckpointError: The start's configuration is not on the menu.
    """
    said = {name: getattr(header, name) for name in OF_THE_START} | {
        "normalization": normalization_of(header.normalization)
    }
    try:
        return _OfTheStart.model_validate(said)
    except ValidationError as error:
        raise CheckpointError(f"the start's configuration is not on the menu: {first_problem(error)}") from error
