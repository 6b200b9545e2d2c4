"""Check all parameters of a run before its first step: the keys and their values."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from eegfm.config import StrictModel
from eegfm.errors import ConfigError
from eegfm.evaluation.config import ProbeParams
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.report.config import ReportParams
from eegfm.jobs.weights.config import ExportParams, ImportParams
from eegfm.mixture.config import MixtureParams
from eegfm.project.checked import checked, known_names
from eegfm.project.corpus_params import CorpusParams
from eegfm.project.model_folder import checked_model
from eegfm.project.phase_blocks import (
    PHASES,
    checked_phases,
    checked_tokenizer,
    refuse_name_of_phase,
    refuse_unlisted,
)
from eegfm.project.phase_checks import check_phases
from eegfm.project.task_checks import check_finetune_tasks, check_tasks
from eegfm.signal.config import SignalParams
from eegfm.splits.config import TUH_FAMILIES, Roles, SplitParams
from eegfm.training.config import PretrainParams, TokenizerParams
from eegfm.training.phases import FINETUNE, TOKENIZER

SHARED_PARAMETERS: dict[str, type[StrictModel]] = {
    "corpora": Roles,
    "export": ExportParams,
    FINETUNE: FinetuneParams,
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


def with_defaults(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Add the blocks that were left out and may be: Kedro's catalog knows only parameters that are there."""
    shared: dict[str, Any] = {key: {} for key, model in SHARED_PARAMETERS.items() if not _has_required(model)}
    filled: dict[str, Any] = {**shared, **parameters}
    _fill_tasks(filled)
    _fill_evaluation(filled)
    for key, block in parameters.items():
        if key not in SHARED_PARAMETERS and isinstance(block, Mapping) and {"ingest", "window"} <= block.keys():
            optional: dict[str, Any] = {k: {} for k, f in CorpusParams.model_fields.items() if not f.is_required()}
            filled[key] = {**optional, **block}
    return filled


def with_finetune_tasks(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters, in which a finetuning without tasks has those of the probe."""
    filled = dict(parameters)
    _fill_tasks(filled)
    return filled


def _fill_tasks(filled: dict[str, Any]) -> None:
    """Let a finetuning without tasks have those of the probe, but for retrievals, which nothing is fitted to."""
    probe, block = filled.get("probe"), filled.get(FINETUNE, {})
    tasks = probe.get("tasks") if isinstance(probe, Mapping) else None
    if not isinstance(tasks, list | tuple) or not isinstance(block, Mapping) or block.get("tasks") is not None:
        return
    is_answer = [not isinstance(task, Mapping) or task.get("kind") != "retrieval" for task in tasks]
    kept = [_as_finetuned(task) for task, answers in zip(tasks, is_answer, strict=True) if answers]
    if kept:
        filled[FINETUNE] = {**block, "tasks": kept}


def _fill_evaluation(filled: dict[str, Any]) -> None:
    """Let a probe test as published where the persons are divided as published."""
    probe, split = filled.get("probe"), filled.get("split")
    is_official = isinstance(split, Mapping) and split.get("protocol") == "official"
    if is_official and isinstance(probe, Mapping):
        filled["probe"] = {"evaluation": "split", **probe}


def _as_finetuned(task: Any) -> Any:
    """A task of a probe without choices of probes."""
    return {k: v for k, v in task.items() if k in ("name", "corpus", "cut")} if isinstance(task, Mapping) else task


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
                f"unknown parameter {name!r}; {known_names(name, known)} "
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
    check_phases(parameters, phases, roles, corpora)
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
        raise ConfigError(
            f"parameter mix.weights.{unknown[0]} names no corpus; {known_names(unknown[0], sorted(corpora))}"
        )
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
            raise ConfigError(
                f"parameter split.{key} names {strangers[0]!r}, no corpus; {known_names(strangers[0], known)}"
            )
    if "probe" in parameters and roles.probe:
        check_tasks(parameters, roles.probe)
    with_tasks = with_finetune_tasks(parameters)
    if roles.probe and isinstance(block := with_tasks.get(FINETUNE), Mapping) and block.get("tasks") is not None:
        check_finetune_tasks(with_tasks, roles.probe)
    for name in roles.pretrain:
        cuts = sorted(parameters[name]["window"]["cuts"])
        if mix.cut not in cuts:
            raise ConfigError(f"parameter mix.cut: {name}.window.cuts has no {mix.cut!r}; {known_names(mix.cut, cuts)}")
    known = sorted({cut for name in roles.pretrain for cut in parameters[name]["window"]["cuts"]})
    for cut in mix.further_cuts if roles.pretrain else ():
        if cut not in known:
            raise ConfigError(
                f"parameter mix.cuts: no corpus of corpora.pretrain has {cut!r}; {known_names(cut, known)}"
            )
