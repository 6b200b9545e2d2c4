"""Imports between modules: no circles, torch only where it computes, inner floors for every room that is divided."""

import ast
import itertools
import json
import tomllib
from collections.abc import Iterator

import grimp
import pytest
from grimp import ImportGraph

from kedro_project import PROJECT_ROOT, run_python

SOURCE = PROJECT_ROOT / "src" / "eegfm"
TORCH_ROOMS = (
    *("nn", "normalizations", "adapters", "encoders", "inference", "objectives", "training", "evaluation"),
    *("augmentations", "heads", "losses", "metrics"),
    *("jobs.train", "jobs.probe", "jobs.finetune", "jobs.weights"),
)
"""Rooms that compute with torch."""
TORCH_INSIDE = {
    "batch": "types of batches; slicing a batch by rank",
    "store.mapped_shards": "torch gathers windows from mapped memory faster than numpy",
}
"""Modules elsewhere that import torch for types or inside a function, with the reason."""
IMPORT_ALL = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    assert "torch" not in sys.modules, f"{name} imports torch"
"""


def build(**options: bool) -> ImportGraph:
    return grimp.build_graph("eegfm", cache_dir=None, **options)


def circles(graph: ImportGraph) -> list[list[str]]:
    """Groups of modules that import each other, at whatever distance; imports inside functions count."""
    below = {module: graph.find_upstream_modules(module) for module in graph.modules}
    groups = {frozenset([module, *(other for other in below[module] if module in below[other])]) for module in below}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = build()
    assert len(graph.modules) > 300
    assert circles(graph) == []


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_a_circle_would_be_counted(distance: int) -> None:
    graph = build()
    chain = ("eegfm.jobs.ingest.convert", "eegfm.signal.open", "eegfm.signal.sniff", "eegfm.errors")[: distance + 1]
    for importer, imported in itertools.pairwise(chain):
        assert graph.direct_import_exists(importer=importer, imported=imported)
    graph.add_import(importer=chain[-1], imported=chain[0])
    [found] = circles(graph)
    assert set(chain) <= set(found)


def test_an_import_inside_a_function_is_seen() -> None:
    """Readers are imported when a file is opened; a circle through them would be one."""
    assert build().direct_import_exists(importer="eegfm.signal.open", imported="eegfm.signal.edf.reader")


def is_in(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == f"eegfm.{room}" or module.startswith(f"eegfm.{room}.") for room in rooms)


def test_torch_is_imported_where_it_computes() -> None:
    """The contract in ``pyproject.toml`` says the same of whole rooms; this one names the modules."""
    graph = build(include_external_packages=True)
    importers = graph.find_modules_that_directly_import("torch")
    assert {m.removeprefix("eegfm.") for m in importers if not is_in(m, TORCH_ROOMS)} == set(TORCH_INSIDE)


def test_nothing_else_loads_torch() -> None:
    """Also not on a detour, through a package of others or a function that runs at import."""
    names = sorted(m for m in build().modules if not is_in(m, (*TORCH_ROOMS, "__main__")))
    assert len(names) > 180
    done = run_python(IMPORT_ALL, json.dumps(names))
    assert done.returncode == 0, done.stderr


def contracts() -> list[dict[str, object]]:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(project["tool"]["importlinter"]["contracts"])


def test_floors_are_exhaustive() -> None:
    """A new module below a room with floors has none until somebody says which."""
    layered = [contract for contract in contracts() if contract["type"] == "layers"]
    assert all(contract["exhaustive"] is True for contract in layered)
    rooms = {str(room).removeprefix("eegfm").removeprefix(".") for c in layered for room in c["containers"]}
    assert {"", "jobs", "signal", "encoders", "io", "store", "nn", "training"} <= rooms


def relative_imports() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}"


def test_imports_are_absolute() -> None:
    """The hashes of code follow absolute imports only."""
    assert list(relative_imports()) == []
