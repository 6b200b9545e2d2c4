"""Tasks of a probe, each with the corpora that it is asked of."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from eegfm.errors import ConfigError
from eegfm.evaluation.config import FitParams, ProbeParams, TaskParams

_KEY = "parameter probe.tasks"


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


def probed_tasks(params: ProbeParams, cuts: Mapping[str, Collection[str]]) -> tuple[ProbedTask, ...]:
    """The tasks of each probed corpus, corpus by corpus in the order of the parameters.

    Args:
        params: Parameters of the probe.
        cuts: By probed corpus, the names of its cuts.

    Raises:
        ConfigError: A task names no probed corpus, no corpus has its cut, two tasks of a corpus have one name, or a
            corpus has no task.
    """
    for task in params.tasks:
        _refuse_homeless(task, cuts)
    found = [
        ProbedTask(corpus, task, params.fit(task))
        for corpus, own in cuts.items()
        for task in params.tasks
        if task.corpus in ("", corpus) and task.own_cut in own
    ]
    keys = [task.key for task in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"{_KEY}: {key} is listed twice; give one of the two another name")
    for corpus, own in cuts.items():
        if corpus not in {task.corpus for task in found}:
            raise ConfigError(
                f"{_KEY}: corpora.probe names {corpus}, which has no cut of a task; known cuts: "
                f"{', '.join(sorted(own))}; add a task, or take {corpus} off corpora.probe"
            )
    return tuple(found)


def _refuse_homeless(task: TaskParams, cuts: Mapping[str, Collection[str]]) -> None:
    """Refuse a task that is probed nowhere."""
    if task.corpus and task.corpus not in cuts:
        raise ConfigError(
            f"{_KEY}: task {task.name!r} names the corpus {task.corpus!r}, which is not probed; corpora.probe names "
            f"{', '.join(cuts)}"
        )
    cut, corpora = task.own_cut, [task.corpus] if task.corpus else list(cuts)
    if not any(cut in cuts[corpus] for corpus in corpora):
        known = sorted({name for corpus in corpora for name in cuts[corpus]})
        where = " and ".join(f"{corpus}.window.cuts" for corpus in corpora)
        close = difflib.get_close_matches(cut, known, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"{_KEY}: {where} has no {cut!r}; known: {', '.join(known)}{meant}")
