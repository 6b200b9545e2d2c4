"""Lineage, report and notebook in every environment of ``conf``, and in a user's own."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from eegfm.pipeline_registry import DEFAULT_ROLES, register_pipelines
from kedro_project import PROJECT_ROOT, environments
from notebook_cells import run_cells
from own_experiment import write_experiment
from tiny_folders import FOLDERS, MOMENTS, PAIRS, SIMULATED, TINY, TINY_CONTRAST, TINY_TOKENIZER

OWN = "experiments/mine"
ALL = os.environ.get("EEGFM_ENVIRONMENTS") == "all"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's configuration with an experiment of the user's."""
    root = tmp_path_factory.mktemp("project")
    shutil.copy(PROJECT_ROOT / "pyproject.toml", root)
    (root / "src").symlink_to(PROJECT_ROOT / "src")
    write_experiment(root / "conf")
    return root


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Folders of recordings that environment variables name; tests fill those that they need."""
    found = {variable: tmp_path / variable.lower() for variable in FOLDERS}
    for variable, folder in found.items():
        monkeypatch.setenv(variable, str(folder))
    return found


def corpora_of(project: Path, env: str) -> set[str]:
    """Corpora that an environment names, read by no code of the project."""
    files = [project / "conf" / name / "parameters.yml" for name in ("base", env)]
    roles: dict[str, Any] = {}
    for file in files:
        roles |= yaml.safe_load(file.read_text()).get("corpora", {})
    return {*roles["pretrain"], *roles["probe"]}


def phases_of(project: Path, env: str) -> list[str]:
    """Phases that an environment lists, read by no code of the project."""
    files = [project / "conf" / name / "parameters.yml" for name in (env, "base")]
    lists: list[list[str] | None] = [yaml.safe_load(file.read_text()).get("phases") for file in files]
    return next(found for found in lists if found)


@pytest.mark.filterwarnings("ignore")  # those of kedro-viz and of what it is built on
@pytest.mark.parametrize("env", [*environments(), OWN])
def test_lineage_without_hooks_shows_the_corpora_of(env: str, project: Path, folders: dict[str, Path]) -> None:
    """Kedro-Viz and editors load a project without its hooks."""
    from kedro_viz.integrations.kedro.data_loader import load_data

    catalog, pipelines, _ = load_data(project, env=env, package_name="eegfm")
    corpora = corpora_of(project, env)
    for name in ("__default__", "ingest"):
        assert {node.namespace for node in pipelines[name].nodes} - {None} == corpora
    assert {*phases_of(project, env)} == {"pretrain", "contrast", "adapt"} & pipelines.keys()
    assert ("probe" in pipelines) == (env != OWN)
    if env == "experiments/eegmmidb":
        assert str(catalog["eegmmidb.raw"]._describe()["path"]) == str(folders["EEGMMIDB_ROOT"])


def test_every_environment_is_an_own_one_or_shows_others_than_the_default() -> None:
    """The test above would see nothing if all environments had the corpora of the embedded default."""
    shown = {env: corpora_of(PROJECT_ROOT, env) for env in environments()}
    assert shown["experiments/eegmmidb"] == {"eegmat", "tuh", "hbn", "eegmmidb"}
    default = {node.namespace for node in register_pipelines()["ingest"].nodes}
    assert default == {*DEFAULT_ROLES.pretrain}


@pytest.mark.filterwarnings("ignore:.*nperseg:UserWarning")
@pytest.mark.skipif(not ALL, reason="a minute each: EEGFM_ENVIRONMENTS=all")
@pytest.mark.parametrize("env", [*environments(), OWN])
def test_report_and_notebook_work_in(env: str, project: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    """By default, ``test_notebook.py`` does it in ``conf/test``, and ``test_readme.py`` in a user's own."""
    conf = project / "conf"
    text = "".join(file.read_text() for file in (conf / env).glob("*.yml"))
    for variable in re.findall(r"\$\{env:(\w+)\}", text):
        FOLDERS[variable](folders[variable])
    corpora = corpora_of(project, env)
    params = {key: value for key, value in TINY.items() if key in corpora or "ingest" not in value}
    for corpus in corpora & SIMULATED.keys():
        if f"{corpus}.raw_folder" not in text:
            params[corpus] = {**TINY[corpus], **SIMULATED[corpus]}
    if "contrast" in phases_of(project, env):
        params["contrast"] = {**TINY_CONTRAST, "pairs": {name: PAIRS[name] for name in corpora}}
    if "kind: retrieval" in text:  # tiny movies have few moments
        params["probe"] = {**TINY["probe"], "tasks": ["eyes", {**MOMENTS, "candidates": 4}]}
    needs_tokenizer = "target: codes" in text
    if needs_tokenizer:
        params["tokenizer"] = TINY_TOKENIZER
    params["data"] = str(tmp_path / "data")

    def session() -> KedroSession:
        bootstrap_project(PROJECT_ROOT)
        return KedroSession.create(project, env=env, conf_source=str(conf), runtime_params=params)

    if needs_tokenizer:
        session().run(pipeline_names=["tokenizer"])
    session().run()
    page = tmp_path / "data/08_reporting/report.html"
    text = page.read_text(encoding="utf-8")
    assert all(corpus in text for corpus in corpora)
    page.unlink()
    session().run(pipeline_names=["report"])
    assert page.is_file()
    printed, names = run_cells(session())
    assert set(names["recordings"]["corpus"]) == corpora
    has_probe = bool(names["roles"].probe)
    assert ("There is no probe" in printed) != has_probe
    assert ("pretrained" in names["table"].index.get_level_values(-1)) == has_probe
