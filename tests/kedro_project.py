"""Runs the project as its users do: sessions in this process, or ``kedro`` in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

PROJECT_ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "lightning", "mne", "matplotlib", "sklearn"}
"""Packages that cost seconds to import and that no check before a run needs."""

# The `kedro` command itself, which then says what it has imported.
_COMMAND = """
import json, pathlib, sys
sys.argv[0] = "kedro"
from kedro.framework.cli.cli import main
try:
    main()
finally:
    names = sorted({name.partition(".")[0] for name in sys.modules})
    pathlib.Path(MODULES).write_text(json.dumps(names))
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


def run_python(code: str, *args: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that knows none of this process's raw folders."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_ROOT") and k != "KEDRO_ENV"}
    environment = kept | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"} | dict(variables or {})
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def kedro(*args: str, modules: Path, variables: Mapping[str, str] | None = None) -> Outcome:
    """Run one ``kedro`` command; ``modules`` is a file that it may write."""
    done = run_python(f"MODULES = {str(modules)!r}\n{_COMMAND}", *args, variables=variables)
    packages = set(json.loads(modules.read_text()))
    return Outcome(done.returncode, done.stdout, done.stderr, packages)
