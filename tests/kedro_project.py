"""Runs the project as its users do: sessions in this process, or ``kedro`` in a process of its own."""

import atexit
import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol

from warm_process import PROJECT_ROOT, WarmProcess, variables

HEAVY = {"torch", "lightning", "mne", "matplotlib", "sklearn"}
"""Packages that cost seconds to import and that no check before a run needs."""

_LIGHT = """
import inspect, io, pathlib, sys
sys.path.insert(0, "tests")
import remembered
sys.path.remove("tests")
remembered.remember()
from kedro.framework.cli.cli import main
import kedro.framework.cli.project, kedro.framework.session.store, kedro.runner
import fsspec.implementations.local, pandas, plotly.graph_objects, pyarrow.parquet, xxhash
import eegfm.cli, eegfm.io.figure, eegfm.io.metrics, eegfm.io.table, eegfm.jobs.acquire.acquire
import eegfm.pipeline_registry, eegfm.project.hooks
import eegfm.project.choices, eegfm.project.command, eegfm.project.config_loader, eegfm.project.console
import eegfm.project.context, eegfm.project.ending, eegfm.project.os_errors, eegfm.project.streams
import eegfm.project.yaml_files
import kedro_telemetry.plugin, kedro_viz.launchers.cli.main
import kedro_viz.integrations.kedro.hooks, kedro_viz.integrations.kedro.run_hooks
from omegaconf import OmegaConf
plotly.graph_objects.Figure
for path in pathlib.Path("conf").rglob("*.yml"):
    OmegaConf.load(io.StringIO(path.read_text()))  # its grammar learns while it reads
    eegfm.project.yaml_files.check_file(str(path), path.read_bytes())
inspect.stack()  # Kedro's settings look there for files of all modules
"""
"""Imports of every command before it trains: most of the time that a failing one takes."""

# The `kedro` command itself. What it has imported is reported.
_COMMAND = """
import json, os, pathlib, sys
from kedro.framework.cli.cli import main
end = pathlib.Path(sys.argv[1], "end.json")
sys.argv = ["kedro", *sys.argv[2:]]
code = 0
try:
    main()
except SystemExit as ended:
    code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
except BaseException:
    code = 1
    sys.excepthook(*sys.exc_info())
packages = sorted({name.partition(".")[0] for name in sys.modules})
end.write_text(json.dumps([code, packages]))
sys.stdout.flush(), sys.stderr.flush()
os._exit(code)
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


@cache
def _light() -> WarmProcess:
    process = WarmProcess(_LIGHT)
    atexit.register(process.close)
    return process


def kedro(*commands: Command, at_once: bool = False) -> list[Outcome]:
    """Run commands one after the other, or at once, each in a process of its own."""
    started = []
    for command in commands:
        folder = command.folder
        folder.mkdir(parents=True, exist_ok=True)
        args = ["-c", str(folder), *command.args]
        given = variables() | dict(command.variables)
        started.append(_light().start(_COMMAND, args, folder / "out", folder / "err", given))
        if not at_once:
            started[-1].wait(300)
    for program in started:
        program.wait(300)
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
