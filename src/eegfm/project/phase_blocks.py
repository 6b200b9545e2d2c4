"""Parameters of the phases: which phases there are, and what their blocks inherit."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from eegfm.config import refuse_repeated
from eegfm.errors import ConfigError
from eegfm.provenance import differences
from eegfm.training.config import PretrainParams
from eegfm.training.phases import DEFAULT_PHASES, OF_THE_START, Phase

PHASES = "phases"
"""Parameter that lists the phases in their order."""
_Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def params_model(name: str) -> type[PretrainParams]:
    """Model of the parameters of a phase. All phases have the same one until other kinds of training exist."""
    return PretrainParams


def with_starts(parameters: Mapping[str, Any], merge: _Merge) -> dict[str, Any]:
    """Add to the block of each later phase what it left out: its start, and the options that the start decides.

    Args:
        parameters: All parameters as they were read. What is wrong in them is left for ``checked_phases``.
        merge: Merges two layers of a configuration.
    """
    names, filled = parameters.get(PHASES), dict(parameters)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return filled
    for before, name in pairwise(names):
        earlier, block = filled.get(before), filled.get(name)
        if not isinstance(earlier, Mapping) or not isinstance(block, Mapping) or before == name:
            continue
        block = {"start": "previous", **block}
        if block["start"] == "previous":
            inherited = {key: earlier[key] for key in OF_THE_START if key in earlier}
            block |= merge(inherited, {key: block[key] for key in OF_THE_START if key in block})
        filled[name] = block
    return filled


def checked_phases(parameters: Mapping[str, Any]) -> tuple[Phase, ...]:
    """Phases in their order.

    Raises:
        ConfigError: The list is empty or names a phase twice, a name cannot name a phase, a phase has no parameters, or
            the first phase would start from one before it.
    """
    names = parameters.get(PHASES, [phase.name for phase in DEFAULT_PHASES])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"parameter {PHASES} must list the names of the phases, e.g. [pretrain] (found {names!r})")
    try:
        refuse_repeated(names, "phase")
    except ValueError as error:
        raise ConfigError(f"parameter {PHASES}: {error}") from error
    return tuple(_phase(name, before, parameters) for before, name in pairwise(["", *names]))


def _phase(name: str, before: str, parameters: Mapping[str, Any]) -> Phase:
    block = parameters.get(name)
    try:
        phase = Phase(name=name, previous=before)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"parameter {PHASES} lists {name!r}: {said}") from error
    if not isinstance(block, Mapping):
        raise ConfigError(
            f"parameter {PHASES} lists {name!r}, which has no parameters; write a block {name}: with its length "
            "(n_steps or n_epochs), or take it off the list"
        )
    if {"ingest", "window"} & block.keys():
        raise ConfigError(f"parameter {PHASES} lists {name!r}, which is a corpus; choose another name for the phase")
    start = block.get("start", phase.start)
    if start == "previous" and not before:
        raise ConfigError(
            f"parameter {name}.start is 'previous', and {name} is the first of {PHASES}; allowed are scratch and file"
        )
    # Any other value is refused with the block.
    return phase.model_copy(update={"start": start}) if start in ("scratch", "previous", "file") else phase


def refuse_unlisted(name: str, block: Any, phases: Sequence[Phase], known: Sequence[str]) -> None:
    """Refuse the block of a phase that is not on the list. A name close to a known one is misspelt instead.

    Raises:
        ConfigError: It is such a block.
    """
    is_phase = isinstance(block, Mapping) and block.keys() & PretrainParams.model_fields.keys()
    if is_phase and not difflib.get_close_matches(name, known):
        listed = ", ".join([*(phase.name for phase in phases), name])
        raise ConfigError(
            f"parameter {name} holds a phase of training, but parameter {PHASES} does not list it; set "
            f"{PHASES}: [{listed}], or drop the block with {name}: null"
        )


def refuse_other_than_start(phases: Sequence[Phase], params: Mapping[str, PretrainParams]) -> None:
    """Refuse options that differ from those of the phase that a phase starts from.

    Args:
        phases: All phases.
        params: Their parameters by name.

    Raises:
        ConfigError: Names the key, its value, and the value of the start.
    """
    for phase in phases:
        if phase.start == "previous":
            refuse_differing(phase.name, params[phase.name], of_the_start(params[phase.previous]), phase.previous)


def refuse_differing(phase: str, params: PretrainParams, start: Mapping[str, Any], source: str) -> None:
    """Refuse options that differ from those of the weights that a phase starts from.

    Args:
        phase: Name of the phase.
        params: Its parameters.
        start: The options that the weights decide, as plain data.
        source: Where the weights are from, for the message.

    Raises:
        ConfigError: Names the key, its value, and the value of the start.
    """
    given = {name: value for name, value in of_the_start(params).items() if name in start}
    for key, value, true in differences(given, start, phase):
        option = key.removeprefix(f"{phase}.").partition(".")[0]
        raise ConfigError(
            f"parameter {key} is {value!r}, but {phase} starts from {source}, where it is {true!r}; leave "
            f"{phase}.{option} out, or set {phase}.start=scratch"
        )


def of_the_start(params: PretrainParams) -> dict[str, Any]:
    """The options that a start decides, as plain data."""
    return params.model_dump(mode="json", include=set(OF_THE_START))
