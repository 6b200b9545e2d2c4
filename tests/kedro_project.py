"""Runs the project as its users do: sessions in this process, or ``kedro`` in a process of its own."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol

PROJECT_ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "lightning", "mne", "matplotlib", "sklearn"}
"""Packages that cost seconds to import and that no check before a run needs."""

# The `kedro` command itself, several times: each run is a process of its own, forked from one that has imported
# what every run needs, which is most of the time that a failing run takes. What they have imported is reported.
_COMMANDS = """
import gc, json, os, pathlib, sys, traceback
gc.disable()
from kedro.framework.cli.cli import main
import pandas, plotly.graph_objects, eegfm.pipeline_registry, eegfm.project.hooks, kedro.runner, kedro.framework.session
import eegfm.project.command, eegfm.project.config_loader, eegfm.project.context, eegfm.project.os_errors
import kedro_telemetry.plugin, kedro_viz.integrations.kedro.hooks, kedro_viz.launchers.cli.main
gc.freeze(), gc.enable()  # what is imported stays: no run goes through it again

def run(job):
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(job["folder"] + "/" + name, os.O_WRONLY | os.O_CREAT), stream)
    os.environ.update(job["variables"])
    sys.argv = ["kedro", *job["args"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        code = 1
        sys.excepthook(*sys.exc_info())
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    pathlib.Path(job["folder"], "end.json").write_text(json.dumps([code, packages]))
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)

at_once, jobs = json.load(sys.stdin)
children = []
for job in jobs:
    children.append(os.fork())
    if not children[-1]:
        run(job)
    if not at_once:
        os.waitpid(children.pop(), 0)
for child in children:
    os.waitpid(child, 0)
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, what it printed and which packages it had imported."""

    code: int
    out: str
    err: str
    packages: set[str]

    @property
    def errors(self) -> list[str]:
        """Lines that tell a user what to mend."""
        return [line for line in self.err.splitlines() if line.startswith("eegfm: error: ")]


def environments() -> list[str]:
    """Every environment under ``conf``, ``base`` among them."""
    folders = {p.parent.relative_to(PROJECT_ROOT / "conf") for p in (PROJECT_ROOT / "conf").rglob("*.yml")}
    return sorted(f.as_posix() for f in folders if f.parts and f.parts[0] != "local")


def project_session(env: str, data: Path, params: Mapping[str, Any] | None = None) -> KedroSession:
    """A session whose run writes under ``data``."""
    bootstrap_project(PROJECT_ROOT)
    return KedroSession.create(PROJECT_ROOT, env=env, runtime_params={"data": str(data), **(params or {})})


def variables() -> dict[str, str]:
    """Variables of this process for another one, without its raw folders."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_ROOT") and k != "KEDRO_ENV"}
    return kept | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}


def run_python(code: str, *args: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that knows none of this process's raw folders."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=PROJECT_ROOT, env=variables(), input=given, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One ``kedro`` command; ``folder`` is a folder of its own for what it prints."""

    args: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def kedro(*commands: Command, at_once: bool = False) -> list[Outcome]:
    """Run commands one after the other, or at once, each in a process of its own."""
    for command in commands:
        command.folder.mkdir(parents=True, exist_ok=True)
    jobs = [{"args": c.args, "folder": str(c.folder), "variables": dict(c.variables)} for c in commands]
    done = run_python(_COMMANDS, given=json.dumps([at_once, jobs]))
    assert done.returncode == 0, done.stderr
    return [_outcome(command.folder) for command in commands]


def _outcome(folder: Path) -> Outcome:
    code, packages = json.loads((folder / "end.json").read_text())
    return Outcome(code, (folder / "out").read_text(), (folder / "err").read_text(), set(packages))


class Lines(logging.Handler):
    """Collects what the package logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass(frozen=True)
class Run:
    """One finished run: where it wrote, its session, and what it logged."""

    data: Path
    session: KedroSession
    log: list[str]

    @cached_property
    def catalog(self) -> CatalogProtocol:
        """What the run wrote; loading it takes Kedro as long as a small step does."""
        return self.session.load_context().catalog

    def load(self, name: str) -> Any:
        return self.catalog.load(name)


def run_project(env: str, data: Path, pipeline: str, params: dict[str, Any] | None = None) -> Run:
    session = project_session(env, data, params)
    handler, logger = Lines(), logging.getLogger("eegfm")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        session.run(pipeline_names=[pipeline])
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Run(data, session, handler.lines)


def files_under(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if p.is_file()}
