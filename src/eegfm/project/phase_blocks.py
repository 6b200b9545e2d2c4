"""Parameters of the phases: which phases there are, and what their blocks inherit."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from eegfm.config import refuse_repeated
from eegfm.errors import ConfigError
from eegfm.mixture.config import MixtureParams
from eegfm.provenance import differences
from eegfm.training.config import PretrainParams
from eegfm.training.phases import DEFAULT_PHASES, EXPORT_ENDING, PROBE_ENDING, TOKENIZER, TOKENIZER_PHASE, Phase
from eegfm.training.started import OF_THE_START, refuse_frozen_adapter, with_start

PHASES = "phases"
"""Parameter that lists the phases in their order."""
_MISSPELT = 0.8
"""Likeness from which a name counts as a misspelt one."""
_Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def without_unlisted(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Return the earlier layers without the phases that a later layer takes off the list.

    ``phases: [pretrain]`` then suffices where ``conf/base`` lists more. A block that the later layer writes itself
    stays: ``null`` drops it, and any other is refused where nothing lists it.

    Args:
        earlier: Parameters of all earlier layers.
        later: Parameters of the next layer. Without a valid list of phases nothing is dropped.
    """
    names = _listed(later)
    unlisted = {*_listed(earlier, DEFAULT_PHASES)} - {*names, *later} if names else set()
    return {key: value for key, value in earlier.items() if key not in unlisted}


def _listed(parameters: Mapping[str, Any], default: Sequence[Phase] = ()) -> list[str]:
    """The names of the phases; none where the list is invalid, which ``checked_phases`` refuses."""
    names = parameters.get(PHASES, [phase.name for phase in default])
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def with_starts(parameters: Mapping[str, Any], merge: _Merge) -> dict[str, Any]:
    """Add to the block of each later phase what it left out: its start, and the options that the start decides.

    Args:
        parameters: All parameters as they were read. What is wrong in them is left for ``checked_phases``.
        merge: Merges two layers of a configuration.
    """
    filled = dict(parameters)
    for before, name in pairwise(_listed(parameters)):
        earlier, block = filled.get(before), filled.get(name)
        if not isinstance(earlier, Mapping) or not isinstance(block, Mapping) or before == name:
            continue
        block = {"start": "previous", **block}
        if block["start"] == "previous":
            inherited = {key: earlier[key] for key in OF_THE_START if key in earlier}
            block |= merge(inherited, {key: block[key] for key in OF_THE_START if key in block})
        filled[name] = block
    return filled


def with_cuts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add the further cuts of the mixture where they are left out: those that the pairs of the phases are made of.

    Args:
        parameters: All parameters, with the starts of the phases. What is wrong in them is left for
            ``check_parameters``.
    """
    mix, roles = parameters.get("mix", {}), parameters.get("corpora", {})
    corpora = roles.get("pretrain") if isinstance(roles, Mapping) else None
    if not isinstance(mix, Mapping) or mix.get("cuts") is not None or not isinstance(corpora, list):
        return dict(parameters)
    drawn: set[str | None] = set()
    for name in _listed(parameters, DEFAULT_PHASES):
        with suppress(ValidationError, ConfigError):
            drawn |= {*PretrainParams.model_validate(parameters.get(name)).drawn_cuts(corpora)}
    own = mix.get("cut", MixtureParams.model_fields["cut"].default)
    return {**parameters, "mix": {**mix, "cuts": sorted(cut for cut in drawn if cut not in (None, own))}}


def checked_phases(parameters: Mapping[str, Any]) -> tuple[Phase, ...]:
    """Phases in their order.

    Raises:
        ConfigError: The list is empty or names a phase twice, a name cannot name a phase, a phase has no parameters, or
            the first phase would start from one before it.
    """
    names = parameters.get(PHASES, [phase.name for phase in DEFAULT_PHASES])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"parameter {PHASES} must list the names of the phases, e.g. [pretrain] (found {names!r})")
    if TOKENIZER in names:
        raise ConfigError(
            f"parameter {PHASES} lists {TOKENIZER!r}, which is no phase: nothing starts from it; take it off the list, "
            "and train it with: kedro run --pipelines=tokenizer"
        )
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
    phase = phase.model_copy(update={"needs_tokenizer": _needs_tokenizer(block)})
    # Any other value is refused with the block.
    return phase.model_copy(update={"start": start}) if start in ("scratch", "previous", "file") else phase


def _needs_tokenizer(block: Mapping[str, Any]) -> bool:
    """Tell whether a phase predicts codes. What is wrong in its block is refused with it."""
    try:
        return PretrainParams.model_validate(block).objective.needs_tokenizer
    except ValidationError:
        return False


def checked_tokenizer(parameters: Mapping[str, Any]) -> Phase:
    """The training of the tokenizer, which is like that of a phase.

    Raises:
        ConfigError: It would start from a phase.
    """
    block = parameters.get(TOKENIZER, {})
    start = block.get("start", TOKENIZER_PHASE.start) if isinstance(block, Mapping) else TOKENIZER_PHASE.start
    if start == "previous":
        raise ConfigError(
            f"parameter {TOKENIZER}.start is 'previous', and no phase is before it; allowed are scratch and file"
        )
    return TOKENIZER_PHASE.model_copy(update={"start": start}) if start in ("scratch", "file") else TOKENIZER_PHASE


def refuse_unlisted(name: str, block: Any, phases: Sequence[Phase], known: Sequence[str]) -> None:
    """Refuse the block of a phase that is not on the list. A name close to a known one is misspelt instead.

    Raises:
        ConfigError: It is such a block.
    """
    is_phase = isinstance(block, Mapping) and block.keys() & PretrainParams.model_fields.keys()
    if is_phase and not difflib.get_close_matches(name, known, cutoff=_MISSPELT):
        listed = ", ".join([*(phase.name for phase in phases), name])
        raise ConfigError(
            f"parameter {name} holds a phase of training, but parameter {PHASES} does not list it; set "
            f"{PHASES}: [{listed}], or drop the block with {name}: null"
        )


def refuse_name_of_phase(corpus: str, phases: Sequence[Phase]) -> None:
    """Refuse a corpus that is called like the probe or the export of a phase.

    Raises:
        ConfigError: It is.
    """
    for phase in phases:
        if corpus in (f"{phase.name}{PROBE_ENDING}", f"{phase.name}{EXPORT_ENDING}"):
            raise ConfigError(f"parameter {corpus}: a corpus cannot be called like a step of the phase {phase.name}")


def refuse_other_than_start(phases: Sequence[Phase], params: Mapping[str, PretrainParams]) -> None:
    """Refuse options that differ from those of the phase that a phase starts from, and what has no start or weights.

    Args:
        phases: All phases, and the training of the tokenizer.
        params: Their parameters by name.

    Raises:
        ConfigError: Names the key, its value, and the value of the start.
    """
    for phase in phases:
        if phase.start == "scratch":
            with_start(params[phase.name], None, phase.name)
        if phase.start == "previous":
            own, start = of_the_start(params[phase.name]), of_the_start(params[phase.previous])
            for key, value, true in differences(own, start):
                raise ConfigError(
                    f"parameter {phase.name}.{key} is {value!r}, but {phase.name} starts from {phase.previous}, where "
                    f"it is {true!r}; leave {phase.name}.{key.partition('.')[0]} out, or set {phase.name}.start=scratch"
                )
            refuse_frozen_adapter(params[phase.name], phase.name)


def of_the_start(params: PretrainParams) -> dict[str, Any]:
    """The options that a start decides, as plain data."""
    plain = params.model_dump(mode="json", include=set(OF_THE_START))
    # Left out and given as the encoder's own is the same.
    return plain | {"normalization": params.chosen_normalization.model_dump(mode="json")}
