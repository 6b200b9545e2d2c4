"""Which task is probed on which corpus."""

from typing import Any

import pytest

from eegfm.errors import ConfigError
from eegfm.evaluation.config import ProbeParams
from eegfm.evaluation.tasks import probed_tasks, tasks_by_corpus

CUTS = {"hbn": ["age", "eyes", "pretrain"], "tuab": ["age", "pathology"]}


def found(*tasks: Any, cuts: Any = CUTS) -> list[tuple[str, str]]:
    return [(task.key, task.cut) for task in probed_tasks(ProbeParams(tasks=tasks), cuts)]


def test_a_task_is_probed_on_each_corpus_that_has_its_cut() -> None:
    assert found("eyes", "age", "pathology") == [
        ("hbn.eyes", "eyes"), ("hbn.age", "age"), ("tuab.age", "age"), ("tuab.pathology", "pathology"),
    ]  # fmt: skip


def test_a_task_may_name_its_corpus_and_its_cut() -> None:
    years = {"name": "years", "corpus": "tuab", "cut": "age"}
    assert found("eyes", years) == [("hbn.eyes", "eyes"), ("tuab.years", "age")]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["eye", "age"], r"hbn.window.cuts and tuab.window.cuts has no 'eye'; known: .*; did you mean eyes\?"),
        ([{"name": "eyes", "corpus": "tuab"}], "tuab.window.cuts has no 'eyes'; known: age, pathology$"),
        (
            [{"name": "age", "corpus": "hbm"}],
            "names the corpus 'hbm', which is not probed; corpora.probe names hbn",
        ),
        (["eyes"], "corpora.probe names tuab, which has no cut of a task; known cuts: age, pathology"),
        (["age", {"name": "age", "corpus": "hbn"}], "hbn.age is listed twice; give one of the two another name"),
    ],
)
def test_mistakes_name_the_key_and_what_there_is(tasks: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match="parameter probe.tasks: .*" + message):
        found(*tasks)


def test_a_finetuning_may_leave_a_corpus_out() -> None:
    asked = ProbeParams.model_validate({"tasks": ["eyes"]}).tasks
    assert [corpus for corpus, _ in tasks_by_corpus(asked, CUTS, "finetune", every_corpus=False)] == ["hbn"]


def test_choices_come_with_the_task() -> None:
    params = ProbeParams.model_validate({"tasks": ["age", {"name": "eyes", "pooling": "mean"}], "transductive": False})
    tasks = {task.key: task.fit for task in probed_tasks(params, CUTS)}
    assert (tasks["hbn.age"].pooling, tasks["hbn.eyes"].pooling) == ("channels", "mean")
    assert not tasks["tuab.age"].transductive
