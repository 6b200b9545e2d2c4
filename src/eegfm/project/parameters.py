"""Check all parameters of a run before its first step: the keys and their values."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from eegfm.config import StrictModel
from eegfm.errors import ConfigError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.tasks import probed_tasks
from eegfm.jobs.report.config import ReportParams
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.mixture.config import MixtureParams
from eegfm.mixture.shares import batch_counts
from eegfm.project.corpus_params import CorpusParams
from eegfm.project.model_folder import checked_model
from eegfm.project.phase_blocks import (
    PHASES,
    checked_phases,
    checked_tokenizer,
    refuse_name_of_phase,
    refuse_other_than_start,
    refuse_unlisted,
)
from eegfm.signal.config import SignalParams
from eegfm.splits.config import TUH_FAMILIES, Roles, SplitParams
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.pairings import by_corpus, multiples
from eegfm.training.phases import TOKENIZER, Phase

_WITH_MOMENTS = ("hbn_movies", "hbn_sequence_learning")
"""Cuts whose windows show moments of a labelled course that persons share."""
SHARED_PARAMETERS: dict[str, type[StrictModel]] = {
    "corpora": Roles,
    "export": ExportParams,
    "import": ImportParams,
    "mix": MixtureParams,
    "probe": ProbeParams,
    "report": ReportParams,
    "signal": SignalParams,
    "split": SplitParams,
    TOKENIZER: TokenizerParams,
}
"""Top-level parameters that are neither ``phases`` nor the name of a phase or of a corpus."""
PLACES = ("data", "model")
"""Parameters of the command line that say where a run writes: everything, and what belongs to one model. Files name
them in ``globals.yml``, because the catalog reads no parameters."""

_FOUND_LENGTH = 80
_NO_MAPPING = {"model_attributes_type", "model_type", "dict_type"}
_Model = TypeVar("_Model", bound=StrictModel)


def with_defaults(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add the blocks that were left out and may be: Kedro's catalog knows only parameters that are there."""
    shared: dict[str, Any] = {key: {} for key, model in SHARED_PARAMETERS.items() if not _has_required(model)}
    filled: dict[str, Any] = {**shared, **parameters}
    for key, block in parameters.items():
        if key not in SHARED_PARAMETERS and isinstance(block, Mapping) and {"ingest", "window"} <= block.keys():
            optional: dict[str, Any] = {k: {} for k, f in CorpusParams.model_fields.items() if not f.is_required()}
            filled[key] = {**optional, **block}
    return filled


def _has_required(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def check_parameters(parameters: Mapping[str, Any]) -> Roles:
    """Check every parameter, also of pipelines that do not run, so that a misspelt key is never silently unused.

    Returns:
        The corpora with their roles.

    Raises:
        ConfigError: A key is unknown, a value is invalid, or a role names no corpus.
    """
    if "corpora" not in parameters:
        raise ConfigError("parameters: 'corpora' is missing; it names the corpora to pretrain and to probe on")
    phases, _ = checked_phases(parameters), checked_tokenizer(parameters)
    shared = {*SHARED_PARAMETERS, *PLACES, PHASES, *(phase.name for phase in phases)}
    corpora = [key for key in parameters if key not in shared]
    for name in corpora:
        block = parameters[name]
        if not isinstance(block, Mapping) or not {"ingest", "window"} <= block.keys():
            known = sorted({*shared, *(c for c in corpora if c != name)})
            _refuse_half_a_corpus(name, block, known)
            refuse_unlisted(name, block, phases, known)
            raise ConfigError(
                f"unknown parameter {name!r}; {_known(name, known)} "
                "(a corpus needs at least the keys ingest and window)"
            )
        checked(CorpusParams, block, name)
        refuse_name_of_phase(name, phases)
    for key, model in SHARED_PARAMETERS.items():
        if key in parameters:
            checked(model, parameters[key], key)
    roles = checked(Roles, parameters["corpora"], "corpora")
    for name in roles.corpora:
        if name not in corpora:
            raise ConfigError(f"corpora: {name!r} has no parameters; there are {', '.join(sorted(corpora))}")
    _check_phases(parameters, phases, roles)
    _check_together(parameters, roles, corpora)
    return roles


def check_places(parameters: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a place that a file names as a parameter. The catalog would not follow it.

    Args:
        parameters: Parameters of the files and the command line together.
        given: Parameters of the command line.

    Raises:
        ConfigError: A file holds such a parameter, or the model's name is no name of a folder.
    """
    for name in PLACES:
        if name in parameters and name not in given:
            raise ConfigError(
                f"parameter {name}: {parameters[name]!r} stands in a file of parameters, where nothing reads it; write "
                f"{name}: into globals.yml beside it, or give --params={name}=…"
            )
    if given.get("model") not in (None, ""):
        checked_model(given["model"])


def _refuse_half_a_corpus(name: str, block: Any, known: Sequence[str]) -> None:
    """Name the key that the block of a new corpus lacks. A name close to a known one is misspelt instead."""
    is_corpus = isinstance(block, Mapping) and block.keys() & CorpusParams.model_fields.keys()
    if is_corpus and not difflib.get_close_matches(name, known):
        missing = next(key for key in ("ingest", "window") if key not in block)
        raise ConfigError(f"parameter {name}.{missing} is missing; a corpus needs at least the keys ingest and window")


def parameter_identities(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Parameters of a step, as far as they decide a result, by Kedro's name."""
    found: dict[str, StrictModel] = {}
    phases = {phase.name for phase in checked_phases(parameters)}
    for key, value in parameters.items():
        if key in SHARED_PARAMETERS:
            found[f"params:{key}"] = checked(SHARED_PARAMETERS[key], value, key)
        elif key in phases:
            found[f"params:{key}"] = checked(PretrainParams, value, key)
        elif key not in (*PLACES, PHASES):
            corpus = checked(CorpusParams, value, key)
            found |= {f"params:{key}.{name}": getattr(corpus, name) for name in CorpusParams.model_fields}
    return {name: model.identity() for name, model in found.items()}


def _check_together(parameters: Mapping[str, Any], roles: Roles, corpora: Sequence[str]) -> None:
    """Refuse values that are each valid but do not fit together, before a run spends an hour on them."""
    mix = checked(MixtureParams, parameters.get("mix", {}), "mix")
    unknown = sorted(set(mix.given_weights) - set(corpora))
    if unknown:
        raise ConfigError(f"parameter mix.weights.{unknown[0]} names no corpus; {_known(unknown[0], sorted(corpora))}")
    without = sorted(set(roles.pretrain) - set(mix.given_weights))
    if mix.given_weights and without:
        raise ConfigError(f"parameter mix.weights.{without[0]} is missing; corpora.pretrain names that corpus")
    split = checked(SplitParams, parameters.get("split", {}), "split")
    linked = {name for group in split.linked_corpora for name in group}
    named_in = {"linked_corpora": linked, "held_out": split.held_out, "test_sets": split.test_sets}
    for key, named in named_in.items():
        known = sorted({*corpora, *TUH_FAMILIES, "hbn"})
        strangers = sorted(set(named) - set(known))
        if strangers:
            raise ConfigError(f"parameter split.{key} names {strangers[0]!r}, no corpus; {_known(strangers[0], known)}")
    if "probe" in parameters and roles.probe:
        _check_tasks(parameters, roles.probe)
    for name in roles.pretrain:
        cuts = sorted(parameters[name]["window"]["cuts"])
        if mix.cut not in cuts:
            raise ConfigError(f"parameter mix.cut: {name}.window.cuts has no {mix.cut!r}; {_known(mix.cut, cuts)}")
    known = sorted({cut for name in roles.pretrain for cut in parameters[name]["window"]["cuts"]})
    for cut in mix.cuts if roles.pretrain else ():
        if cut not in known:
            raise ConfigError(f"parameter mix.cuts: no corpus of corpora.pretrain has {cut!r}; {_known(cut, known)}")


def _check_phases(parameters: Mapping[str, Any], phases: Sequence[Phase], roles: Roles) -> None:
    """Check the block of each phase, and what it shares with the phase before it and with the mixture."""
    params = {phase.name: checked(PretrainParams, parameters[phase.name], phase.name) for phase in phases}
    refuse_other_than_start(phases, params)
    if any(phase.needs_tokenizer for phase in phases):
        params[TOKENIZER] = checked(TokenizerParams, parameters.get(TOKENIZER, {}), TOKENIZER)
    for key, one in params.items():
        try:
            one.schedule.check_corpora(roles.pretrain)
        except ConfigError as error:
            raise ConfigError(f"parameter {key}: {error}") from error
    mix = checked(MixtureParams, parameters.get("mix", {}), "mix")
    for key, one in params.items():
        _check_heads(key, one, mix)
        try:
            _check_pairs(parameters, one, mix, roles)
        except ConfigError as error:
            raise ConfigError(f"parameter {key}: {error}") from error
    # Shares by size or by hours follow from the windows; training checks them.
    if {*roles.pretrain} <= {*mix.given_weights} and roles.pretrain and mix.by != "hours":
        total = sum(mix.given_weights[name] for name in roles.pretrain)
        weights = {name: mix.given_weights[name] / total for name in roles.pretrain}
        for key, one in params.items():
            n_ranks = one.num_nodes * (1 if one.devices == "auto" else one.devices)  # the least
            try:
                of_pairs = None if one.chosen_pairs is None else by_corpus(one.chosen_pairs, weights)
                of_batch = None if of_pairs is None else multiples(of_pairs, n_ranks)
                batch_counts(weights, one.batch_size, n_ranks, one.accumulate, multiples=of_batch)
            except ConfigError as error:
                raise ConfigError(f"parameter {key}: {error}") from error


def _check_heads(key: str, params: PretrainParams, mix: MixtureParams) -> None:
    """Refuse auxiliary heads for labels that the mixture lacks."""
    for name in params.objective.labels:
        if name not in mix.labels:
            raise ConfigError(
                f"parameter {key}.objective.auxiliary.heads names the label {name!r}, which mix.labels lacks; "
                f"{_known(name, mix.labels)}; add the column to mix.labels, or leave the head out"
            )


def _check_pairs(parameters: Mapping[str, Any], params: PretrainParams, mix: MixtureParams, roles: Roles) -> None:
    """Refuse pairs of a cut that the mixture or a corpus lacks."""
    if params.chosen_pairs is None or not roles.pretrain:
        return
    for corpus, pairings in by_corpus(params.chosen_pairs, roles.pretrain).items():
        cuts = parameters[corpus]["window"]["cuts"]
        for pairing in pairings:
            cut = pairing.cut or mix.cut
            if cut not in cuts:
                raise ConfigError(
                    f"pairs {pairing.name} of corpus {corpus} are of cut {cut!r}, which {corpus}.window.cuts has not; "
                    f"{_known(cut, sorted(cuts))}; name a cut of its own in pairs.{corpus}, or choose other pairs there"
                )
            if cut not in (mix.cut, *mix.cuts):
                raise ConfigError(
                    f"pairs {pairing.name} are of cut {cut!r}, which the mixture lacks: it holds "
                    f"{', '.join((mix.cut, *mix.cuts))}; add {cut} to mix.cuts, or name another in pairs.cut"
                )


def _check_tasks(parameters: Mapping[str, Any], corpora: Sequence[str]) -> None:
    """Refuse tasks of a probe without windows, or with windows that a probe cannot predict."""
    params = checked(ProbeParams, parameters["probe"], "probe")
    cuts = {name: checked(CorpusParams, parameters[name], name).window.cuts for name in corpora}
    for task in probed_tasks(params, cuts):
        kind, where = cuts[task.corpus][task.cut].target_spec.kind, f"{task.corpus}.window.cuts.{task.cut}"
        if task.asked.kind == "retrieval":
            if cuts[task.corpus][task.cut].name not in _WITH_MOMENTS:
                raise ConfigError(
                    f"parameter probe.tasks: task {task.name!r} is a retrieval, and {where} has no moments of movies; "
                    "give it a cut such as {name: hbn_movies}"
                )
            continue
        if kind not in ("binary", "multiclass", "regression"):
            raise ConfigError(
                f"parameter probe.tasks: {where} is {kind}; a probe needs windows with a class or a number each"
            )
        if kind == "regression" and task.asked.method == "logistic":
            raise ConfigError(
                f"parameter probe.tasks: task {task.name!r} asks for method logistic, and {where} has numbers; "
                "they are fitted by ridge, leave method out"
            )


def checked(model: type[_Model], value: Any, key: str) -> _Model:
    """Build one typed parameter.

    Raises:
        ConfigError: A value is invalid. The one line names each key, the value that was found and the allowed values.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(model, value, key, dict(e)) for e in error.errors())
        raise ConfigError("; ".join(problems)) from error


def _problem(model: type[BaseModel], value: Any, key: str, error: Mapping[str, Any]) -> str:
    where = ".".join([key, *_user_keys(value, error["loc"], is_missing=error["type"] == "missing")])
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"parameter {where} is not known; {_known(error['loc'][-1], _fields(model, error['loc'][:-1]))}"
        case "union_tag_invalid":
            tags = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return f"parameter {where}.name: {context['tag']!r} is not known; {_known(context['tag'], tags)}"
        case "missing":
            return f"parameter {where} is missing"
    if error["input"] is None and error["type"] in _NO_MAPPING:
        return f"parameter {where} is null, but there is no inherited entry {where} that null could drop; leave it out"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        message += "; put yes, no, on, off and numbers in quotes where they are text"
    if isinstance(error["input"], Mapping):
        return f"parameter {where}: {message}"
    found = repr(error["input"])
    return f"parameter {where}: {message} (found {found[:_FOUND_LENGTH]}{'…' * (len(found) > _FOUND_LENGTH)})"


def _known(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"known: {', '.join(known)}" + (f"; did you mean {close[0]}?" if close else "")


def _user_keys(value: Any, location: Sequence[str | int], *, is_missing: bool) -> Iterator[str]:
    """Keys of the parameters: pydantic's location without the names of a union's members."""
    for place, part in enumerate(location):
        in_list = isinstance(value, list | tuple) and isinstance(part, int)
        if in_list or (isinstance(value, Mapping) and part in value):
            value = value[part]
        elif not (is_missing and place == len(location) - 1):
            continue
        yield str(part)


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Names of the keys that are allowed at a location of pydantic's."""
    found = [model]
    for part in location:
        members = [m for m in found if "name" in m.model_fields and m.model_fields["name"].default == part]
        fields = [m.model_fields[str(part)] for m in found if part in m.model_fields]
        # Keys of a dictionary and positions in a list do not change the allowed values.
        found = members or [inner for f in fields for inner in _models(f.annotation)] or found
    return sorted({name for m in found for name in m.model_fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """All models inside an annotation: members of a union, values of a dictionary."""
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
