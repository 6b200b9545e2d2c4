"""Check the tasks of a probe against the windows of the probed corpora."""

from collections.abc import Mapping, Sequence
from typing import Any

from eegfm.errors import ConfigError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.tasks import probed_tasks, tasks_by_corpus
from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.project.checked import checked
from eegfm.project.corpus_params import CorpusParams
from eegfm.training.phases import FINETUNE

_WITH_MOMENTS = ("hbn_movies", "hbn_sequence_learning")
"""Cuts whose windows show moments of a labelled course that persons share."""


def check_finetune_tasks(parameters: Mapping[str, Any], corpora: Sequence[str]) -> None:
    """Refuse tasks of a finetuning without windows, without an answer, or with choices that do not fit the answer."""
    params = checked(FinetuneParams, parameters[FINETUNE], FINETUNE)
    cuts = {name: checked(CorpusParams, parameters[name], name).window.cuts for name in corpora}
    for corpus, task in tasks_by_corpus(params.asked, cuts, FINETUNE, every_corpus=False):
        target, key = cuts[corpus][task.own_cut].target_spec, f"parameter {FINETUNE}.tasks: task {task.name!r}"
        if target.kind == "unlabelled":
            raise ConfigError(
                f"{key}: {corpus}.window.cuts.{task.own_cut} has no answer; name a cut with a task, such as {{name: "
                "hbn_eyes}"
            )
        tuning = params.tuning(task)
        try:
            tuning.check(target)
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from error


def check_tasks(parameters: Mapping[str, Any], corpora: Sequence[str]) -> None:
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
