"""Tasks of a probe, each with the corpora that it is asked of."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from eegfm.errors import ConfigError
from eegfm.evaluation.config import FitParams, ProbeParams, TaskParams


@dataclass(frozen=True)
class ProbedTask:
    """A task on one corpus.

    Args:
        corpus: Name of the corpus.
        asked: The task as the parameters list it.
        fit: Its choices: its own, and those of the whole probe.
    """

    corpus: str
    asked: TaskParams
    fit: FitParams

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.asked.name

    @property
    def cut(self) -> str:
        """The cut whose windows are asked for."""
        return self.asked.own_cut

    @property
    def key(self) -> str:
        """Name of the task's result: ``corpus.task``."""
        return f"{self.corpus}.{self.name}"


class Asked(Protocol):
    """A task as the parameters of a step list it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def corpus(self) -> str:
        """Name of a corpus; empty for all that have the cut."""
        ...

    @property
    def own_cut(self) -> str:
        """The cut whose windows are asked for."""
        ...


_Asked = TypeVar("_Asked", bound=Asked)


def probed_tasks(params: ProbeParams, cuts: Mapping[str, Collection[str]]) -> tuple[ProbedTask, ...]:
    """The tasks of each probed corpus; see ``tasks_by_corpus``."""
    found = tasks_by_corpus(params.tasks, cuts, "probe")
    return tuple(ProbedTask(corpus, task, params.fit(task)) for corpus, task in found)


def tasks_by_corpus(
    tasks: Sequence[_Asked], cuts: Mapping[str, Collection[str]], step: str, *, every_corpus: bool = True
) -> list[tuple[str, _Asked]]:
    """The tasks of each corpus that is probed, corpus by corpus in the order of the parameters.

    Args:
        tasks: Tasks of a step.
        cuts: By probed corpus, the names of its cuts.
        step: Name of the step's parameters, for messages.
        every_corpus: Whether every corpus must have a task.

    Raises:
        ConfigError: A task names no probed corpus, no corpus has its cut, two tasks of a corpus have one name, or a
            corpus that must have a task has none.
    """
    key = f"parameter {step}.tasks"
    for task in tasks:
        _refuse_homeless(task, cuts, key)
    found = [
        (corpus, task)
        for corpus, own in cuts.items()
        for task in tasks
        if task.corpus in ("", corpus) and task.own_cut in own
    ]
    names = [f"{corpus}.{task.name}" for corpus, task in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{key}: {name} is listed twice; give one of the two another name")
    for corpus, own in cuts.items():
        if every_corpus and corpus not in {of for of, _ in found}:
            raise ConfigError(
                f"{key}: corpora.probe names {corpus}, which has no cut of a task; known cuts: "
                f"{', '.join(sorted(own))}; add a task, or take {corpus} off corpora.probe"
            )
    return found


def _refuse_homeless(task: Asked, cuts: Mapping[str, Collection[str]], key: str) -> None:
    """Refuse a task that no corpus has."""
    if task.corpus and task.corpus not in cuts:
        raise ConfigError(
            f"{key}: task {task.name!r} names the corpus {task.corpus!r}, which is not probed; corpora.probe names "
            f"{', '.join(cuts)}"
        )
    cut, corpora = task.own_cut, [task.corpus] if task.corpus else list(cuts)
    if not any(cut in cuts[corpus] for corpus in corpora):
        known = sorted({name for corpus in corpora for name in cuts[corpus]})
        where = " and ".join(f"{corpus}.window.cuts" for corpus in corpora)
        close = difflib.get_close_matches(cut, known, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"{key}: {where} has no {cut!r}; known: {', '.join(known)}{meant}")
