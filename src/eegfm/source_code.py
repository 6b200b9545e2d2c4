"""Hash the source code of modules and of all modules that they import. Comments and docstrings do not count."""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "eegfm"
NO_NUMBERS = (
    "errors",
    "nn.load_report",
    "source_code",
    "provenance",
    "inference.encoder_code",
    "inference.versions",
    "jobs.ingest.config",
    "jobs.acquire.config",
    "jobs.weights.config",
    "jobs.report.config",
)
"""Modules with messages, names and comparisons, but no computations. Values of the jobs' configurations count
separately."""
_ROOT = Path(__file__).parent
_N_DIGITS = 12
_UNSAID = ("ctx", "kind", "type_comment")
"""Fields of a tree that follow from the others, or are comments."""


def module_hashes(*roots: str, without: Sequence[str] = ()) -> dict[str, str]:
    """Hash modules and all modules of this package that they import, at any depth. No module is imported.

    Comments, docstrings, formatting and the wording of errors do not count.

    Args:
        roots: Dotted names of modules of this package.
        without: Modules and rooms of this package that do not count. Modules that only they import do not count either.

    Returns:
        Hashes by module, without the package's name, sorted.
    """
    return _hashes(_walked(roots, without))


def packages(*roots: str, without: Sequence[str] = ()) -> list[str]:
    """Names of other packages, without Python's own, that the modules of ``module_hashes`` import, sorted."""
    return _packages(_walked(roots, without))


def code_sha256(*roots: str, without: Sequence[str] = ()) -> str:
    """One hash of all hashes of ``module_hashes``."""
    return code_and_packages(*roots, without=without)[0]


def code_and_packages(*roots: str, without: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Results of ``code_sha256`` and of ``packages``, which together take the time of one."""
    walked = _walked(roots, without)
    return hashlib.sha256(json.dumps(_hashes(walked)).encode()).hexdigest(), _packages(walked)


Walked = dict[str, tuple[str, tuple[str, ...]]]
"""By module, its hash and what it imports."""


def _hashes(walked: Walked) -> dict[str, str]:
    return {name: sha256 for name, (sha256, _) in walked.items()}


def _packages(walked: Walked) -> list[str]:
    imported = (name for _, names in walked.values() for name in names)
    return sorted({name.partition(".")[0] for name in imported} - {PACKAGE} - sys.stdlib_module_names)


def _walked(roots: Sequence[str], without: Sequence[str]) -> Walked:
    """Hash and imports of each module, sorted by module."""
    left_out = {f"{PACKAGE}.{name}" for name in (*NO_NUMBERS, *without)}
    found: Walked = {}
    open_, seen = list(roots), set(roots)
    while open_:
        module = open_.pop()
        path = None if _is_in(module, left_out) else _source(module)
        if path is not None:
            stat = os.stat(path)
            read = found[module.removeprefix(f"{PACKAGE}.")] = _read(path, stat.st_mtime_ns, stat.st_size)
            open_ += [name for name in read[1] if name not in seen]
            seen.update(read[1])
    return dict(sorted(found.items()))


def _is_in(module: str, names: set[str]) -> bool:
    """Return whether a module, or a room that it is in, has one of these names."""
    while module not in names:
        module = module.rpartition(".")[0]
        if not module:
            return False
    return True


def _source(module: str) -> str | None:
    """The module's file; None for other packages, and for names that are no modules."""
    package, *parts = module.split(".")
    if package != PACKAGE or not parts or not all(part.isidentifier() for part in parts):
        return None
    path = os.path.join(_ROOT, *parts)
    return next((p for p in (f"{path}/__init__.py", f"{path}.py") if os.path.isfile(p)), None)


@cache
def _read(path: str, mtime_ns: int, n_bytes: int) -> tuple[str, tuple[str, ...]]:
    """The module's hash and its imports. A changed file is read again."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    parts: list[str] = []
    _describe(tree, parts)
    sha256 = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_N_DIGITS]
    return sha256, tuple(dict.fromkeys(_imported(tree)))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _describe(node: Any, parts: list[str]) -> None:
    """Write a tree as text. Unlike ``ast.dump``, the text is the same in every version of Python.

    Docstrings, other texts that stand alone, and raised errors are left out, because they decide no number.
    """
    if isinstance(node, list):
        for item in node:
            _describe(item, parts)
    elif not isinstance(node, ast.AST):
        parts.append(repr(node))
    elif not (isinstance(node, ast.Expr) and _is_text(node.value)):
        parts.append(type(node).__name__)
        for name in () if isinstance(node, ast.Raise) else node._fields:
            value = getattr(node, name, None)
            if value not in (None, []) and name not in _UNSAID:
                parts.append(name)
                _describe(value, parts)
        parts.append("")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
