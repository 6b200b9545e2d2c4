"""The rules of the house, checked: who imports whom, what start-up costs, what configuration may say."""

import ast
import inspect
import json
import shutil
import subprocess
import sysconfig
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, MemoryDataset
from kedro.pipeline.node import Node

import eegfm.settings
from eegfm.config import StrictModel
from eegfm.pipeline_registry import use_roles
from eegfm.project.parameters import check_parameters
from eegfm.project.phase_blocks import checked_phases
from kedro_project import HEAVY, PROJECT_ROOT, environments, project_session, run_python
from tiny_folders import FOLDERS

SOURCE = PROJECT_ROOT / "src" / "eegfm"
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
DATASET_TYPES = {"text.TextDataset"}
"""Catalog types beside those of ``eegfm.io``."""

LOAD_EVERYTHING = """
import json, sys
from pathlib import Path
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
context = KedroSession.create(Path.cwd(), env="base").load_context()
names = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
catalog = context.catalog
[catalog[name] for name in names if name in catalog]
assert "pretrain" in context.params and len(names) > 30
print(json.dumps(sorted(sys.modules)))
"""
INGEST = """
import json, sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
here = {"workers": {"n_workers": 1}}  # this process converts, so that what a conversion imports is seen
tiny = {"data": sys.argv[1], "tuh": {"acquire": {"source": {"n_subjects": 2, "duration_s": 10}}, "ingest": here},
        "hbn": {"acquire": {"source": {"n_subjects": 1, "resting_s": 20, "file_format": "bdf"}}, "ingest": here}}
KedroSession.create(Path.cwd(), env="test", runtime_params=tiny).run(pipeline_names=["ingest"])
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(params=environments(), scope="module")
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KedroContext]:
    """The project's context in one environment; corpora in real folders find empty ones."""
    folder = tmp_path_factory.mktemp("context")
    with pytest.MonkeyPatch.context() as patch:
        for name in FOLDERS:
            patch.setenv(name, str(folder / name))
        yield project_session(request.param, folder / "data").load_context()


@pytest.fixture
def context(loaded: KedroContext) -> KedroContext:
    """The same, with the pipelines of its corpora."""
    parameters = loaded.config_loader["parameters"]
    use_roles(check_parameters(parameters), checked_phases(parameters))
    return loaded


def all_nodes() -> list[Node]:
    return list({node.name: node for pipeline in dict(pipelines).values() for node in pipeline.nodes}.values())


def bound_inputs(node: Node) -> dict[str, Any]:
    """By argument of the node's function, the name (or names, for ``**kwargs``) of the dataset that feeds it."""
    inputs = node._inputs
    args, kwargs = ([], inputs) if isinstance(inputs, dict) else ([inputs] if isinstance(inputs, str) else inputs, {})
    return inspect.signature(node.func).bind(*args, **kwargs).arguments


def typed_parameters(node: Node) -> dict[str, Any]:
    """By ``params:`` input, the annotation of the argument that it feeds."""
    hints = typing.get_type_hints(node.func)
    found = {}
    for argument, names in bound_inputs(node).items():
        for name in names.values() if isinstance(names, dict) else [names]:
            if name.startswith("params:"):
                found[name] = hints.get(argument)
    return found


def test_import_contracts_hold() -> None:
    lint = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    assert lint, "import-linter is part of the extra dev"
    done = subprocess.run([lint], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"{len(project['tool']['importlinter']['contracts'])} kept, 0 broken" in done.stdout


def heavy_modules(printed: str) -> set[str]:
    return {name.partition(".")[0] for name in json.loads(printed.splitlines()[-1])} & HEAVY


def test_start_up_imports_nothing_heavy() -> None:
    done = run_python(LOAD_EVERYTHING)
    assert done.returncode == 0, done.stderr
    assert heavy_modules(done.stdout) == set()


def test_ingest_runs_without_torch(tmp_path: Path) -> None:
    done = run_python(INGEST, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "02_intermediate" / "hbn" / "recordings.parquet").is_file()
    assert heavy_modules(done.stdout) & {"torch", "lightning", "sklearn", "matplotlib"} == set()


def test_every_parameter_is_typed_and_arrives_as_its_type(context: KedroContext) -> None:
    catalog = context.catalog
    n_found = 0
    for node in all_nodes():
        for name, hint in typed_parameters(node).items():
            n_found += 1
            # A union, or a hint that cannot be resolved, would let Kedro hand over an unchecked dictionary.
            assert isinstance(hint, type), f"{node.name}: {name} feeds an argument annotated {hint}"
            assert issubclass(hint, StrictModel), f"{node.name}: {name} feeds an argument annotated {hint}"
            assert isinstance(catalog.load(name), hint), f"{name} arrives as {type(catalog.load(name))}"
    assert n_found >= 12


def test_untyped_arguments_would_be_seen() -> None:
    """The check above reads annotations as Kedro does: it must see a dictionary and a union for what they are."""

    def untyped(params, union: "int | StrictModel", data: Path) -> None: ...

    node = Node(untyped, inputs=["params:a", "params:b", "data"], outputs=None, name="n")
    hints = typed_parameters(node)
    assert hints == {"params:a": None, "params:b": int | StrictModel}
    assert not isinstance(hints["params:b"], type)


def test_every_catalog_name_is_configured(context: KedroContext) -> None:
    catalog = context.catalog
    names = {name for node in all_nodes() for name in [*node.inputs, *node.outputs]}
    names = {name for name in names if not name.startswith("params:")}
    assert len(names) > 20
    for name in sorted(names):
        assert name in catalog, f"{name} is in a pipeline but not in the catalog"
        dataset = catalog[name]
        assert isinstance(dataset, AbstractDataset)
        assert not isinstance(dataset, MemoryDataset), f"{name} would silently stay in memory"


def catalog_files() -> list[Path]:
    return sorted(p for p in (PROJECT_ROOT / "conf").rglob("*.yml") if p.name.startswith("catalog"))


@pytest.mark.parametrize("path", catalog_files(), ids=lambda p: p.relative_to(PROJECT_ROOT / "conf").as_posix())
def test_catalog_types_are_on_the_list(path: Path) -> None:
    entries = yaml.safe_load(path.read_text())
    assert entries
    for name, entry in entries.items():
        kind = entry["type"]
        assert kind in DATASET_TYPES or kind.startswith("eegfm.io."), f"{name}: type {kind}"
        assert "credentials" not in entry


def test_environments_change_only_what_they_name(tmp_path: Path) -> None:
    """Hard merging, Kedro's default, would drop the siblings of a key that an environment sets."""
    for name, text in {
        "base/parameters.yml": "a: {b: {c: 1, d: 2}, e: 3}",
        "base/globals.yml": "raw: {x: 1, y: 2}",
        "other/parameters.yml": "a: {b: {c: 10}}",
        "other/globals.yml": "raw: {x: 10}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    loader = OmegaConfigLoader(str(tmp_path), env="other", **eegfm.settings.CONFIG_LOADER_ARGS)
    assert loader["parameters"] == {"a": {"b": {"c": 10, "d": 2}, "e": 3}}
    assert loader["globals"] == {"raw": {"x": 10, "y": 2}}


def test_test_environment_keeps_what_base_says(tmp_path: Path) -> None:
    params = project_session("test", tmp_path).load_context().params
    assert params["pretrain"].encoder.n_layers == 1
    assert params["pretrain"].objective.name == "masked"
    assert params["hbn"]["ingest"].corpus.name == "hbn"


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def functions() -> Iterator[tuple[str, int]]:
    """Name and number of lines of every function, its docstring left out."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = (node.end_lineno or 0) - node.lineno + 1
                if ast.get_docstring(node):
                    n_lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
                yield f"{path.relative_to(SOURCE)}: {node.name}", n_lines


def test_files_are_short() -> None:
    lengths = {p.relative_to(SOURCE).as_posix(): p.read_text(encoding="utf-8").count("\n") for p in source_files()}
    assert {name: n for name, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    lengths = dict(functions())
    assert len(lengths) > 100
    assert {name: n for name, n in lengths.items() if n > MAX_FUNCTION_LINES} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 15


def test_no_merge_was_left_half_done() -> None:
    """Tracked files hold no lines of a conflict; in Markdown and in comments nothing else would notice them."""
    if not (PROJECT_ROOT / ".git").exists():
        pytest.skip("a copy without its repository")
    markers = r"^(<{7}|>{7}|\|{7})( |$)|^={7}$"
    command = ["git", "grep", "-I", "-n", "-E", markers]
    found = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", ""), "1 says that nothing was found"
