"""Run benchmarks: registry, progress lines, results as JSON with facts about the machine."""

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import PEERS

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "mne", "edfio", "torch", "braindecode", "h5py", "lmdb")


class Line(NamedTuple):
    """One finding.

    Args:
        case: What was measured.
        values: What is printed, in this order.
        samples: Single measurements behind it, for the JSON file.
    """

    case: str
    values: dict[str, Any]
    samples: dict[str, Any]


class Setting(NamedTuple):
    """How a benchmark is to run.

    Args:
        quick: Small inputs and few repetitions.
        core: Core that everything measured is bound to.
    """

    quick: bool
    core: int


Part = Callable[[Setting], Iterator[Line]]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: a module whose ``PARTS`` are functions from a setting to lines."""

    module: str

    def parts(self) -> dict[str, Part]:
        """Parts by name, in the order in which they run."""
        found: dict[str, Part] = import_module(self.module).PARTS
        return found


BENCHMARKS = {
    "adapters": Benchmark("benchmarks.adapters"),
    "encoder_steps": Benchmark("benchmarks.encoder_steps"),
    "encoders": Benchmark("benchmarks.encoders"),
    "ingest": Benchmark("benchmarks.ingest"),
    "loader": Benchmark("benchmarks.loader"),
    "optimizers": Benchmark("benchmarks.optimizers"),
}


def run(name: str, parts: Sequence[str], *, quick: bool, core: int | None, folder: Path) -> Path:
    """Run a benchmark, print a line per finding and write all of them down.

    Args:
        name: Of the benchmark.
        parts: Names of its parts; all where the list is empty.
        quick: Small inputs and few repetitions.
        core: Core to bind to; the last one of this process by default.
        folder: Where the JSON file goes.

    Returns:
        The JSON file.
    """
    offered = BENCHMARKS[name].parts()
    unknown = sorted(set(parts) - set(offered))
    if unknown:
        sys.exit(f"{name} has no part {unknown[0]!r}; there are {', '.join(offered)}")
    setting = Setting(quick, max(os.sched_getaffinity(0)) if core is None else core)
    lines = []
    for part in parts or offered:
        for line in offered[part](setting):
            print(name, line.case, *(f"{key}={_short(value)}" for key, value in line.values.items()), flush=True)
            lines.append({"case": line.case, **line.values, "samples": line.samples})
    now = datetime.datetime.now(tz=datetime.UTC)
    path = folder / f"{name}_{now:%Y-%m-%d}{'_quick' if quick else ''}.json"
    content = {"benchmark": name, "finished": now.isoformat(timespec="seconds"), "machine": machine(), "lines": lines}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    cpu = [line.split(":")[1].strip() for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    memory_kb = [line.split()[1] for line in _read("/proc/meminfo").splitlines() if line.startswith("MemTotal")]
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "n_cores": os.cpu_count(),
        "memory_gb": round(int(memory_kb[0]) / 2**20, 1) if memory_kb else None,
        "load_1min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": _commit(),
        **{package: _version(package) for package in PACKAGES},
    }


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        beside = sorted(PEERS.glob(f"{package}-*.dist-info"))
        return beside[0].name.removesuffix(".dist-info").removeprefix(f"{package}-") if beside else None


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _commit() -> str:
    """The commit, with a plus where the working tree differs from it."""
    git = ("git", "-C", str(RESULTS.parent), "describe", "--always", "--abbrev=12", "--dirty=+")
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
