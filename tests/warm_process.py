"""Programs that fork from one process which has imported what all of them need.

Importing takes them longer than their work.
They end as every program does: uncaught errors reach ``sys.excepthook``, and signals reach nobody else.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[1]


def variables() -> dict[str, str]:
    """Variables of this process for another one, without its raw folders."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_ROOT") and k != "KEDRO_ENV"}
    return kept | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}


_BEGIN = """
import gc, json, os, sys
gc.disable()
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Kedro speaks while it is imported
"""

TORCH = """
import eegfm  # before torch computes anything: see eegfm.processor
import torch, torch.distributed, torch.utils.tensorboard, lightning.pytorch, safetensors.torch
# What Lightning and TensorBoard import when a training begins.
import boto3, rich.syntax, s3fs, tensorboard.compat.tensorflow_stub.io.gfile
import tensorboard.summary.writer.event_file_writer
import kedro.framework.cli.cli, kedro.framework.cli.project, kedro.framework.session, kedro.runner
import kedro_telemetry.plugin, kedro_viz.integrations.kedro.hooks, kedro_viz.launchers.cli.main
import joblib.externals.loky, pandas, plotly.graph_objects, pyarrow.parquet, pydantic
plotly.graph_objects.Figure
"""
"""Imports of programs that train. Nothing of ``eegfm`` but its name is imported before."""

_SERVE = """
gc.freeze(), gc.enable()  # what is imported stays: no program goes through it again

def next_job():
    for line in sys.stdin:
        asked, value = json.loads(line)
        if asked == "start":
            answer = os.fork()
            if not answer:
                return value
        else:
            process, status = os.waitpid(value, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if process else None
        print(json.dumps(answer), file=answers, flush=True)
    sys.exit()

job = next_job()
answers.close()
os.setsid()
for stream, path in enumerate((os.devnull, job["out"], job["err"])):
    os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), stream)
os.environ.clear()
os.environ.update(job["variables"])
sys.argv = job["args"]
exec(compile(job["code"], "<string>", "exec"), {"__name__": "__main__"})
"""

RUN_KEDRO = "from kedro.framework.cli import main; main()"
"""What the script ``kedro`` says."""


class Forked:
    """A program with a process group of its own; what ``subprocess.Popen`` has of it."""

    def __init__(self, server: "WarmProcess", pid: int, args: list[str]) -> None:
        self._server, self.pid, self.args = server, pid, args
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit code, negative for a signal, or None while the program runs."""
        if self.returncode is None:
            self.returncode = self._server.ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code."""
        until = time.monotonic() + (timeout or float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if the program still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)


class WarmProcess:
    """The process that programs fork from. It starts with the first of them; use it as a context manager.

    Args:
        imports: Code that imports.
    """

    def __init__(self, imports: str) -> None:
        self._code = _BEGIN + imports + _SERVE
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "WarmProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process:  # closes its input, which ends it
                pass

    def start(self, code: str, args: list[str], out: Path, err: Path, variables: Mapping[str, str]) -> Forked:
        """Start a program with these words of a command, and with these variables and no others."""
        job = {"code": code, "args": args, "out": str(out), "err": str(err), "variables": dict(variables)}
        return Forked(self, self.ask("start", job), args)

    def run(self, code: str, *args: str, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, as ``run_python`` does; ``folder`` takes what it prints."""
        out, err = folder / "out", folder / "err"
        program = self.start(code, ["-c", *args], out, err, variables())
        return subprocess.CompletedProcess(program.args, program.wait(timeout_s), out.read_text(), err.read_text())

    def ask(self, asked: str, value: Any) -> Any:
        """Ask the process, and wait for its answer."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self._code], cwd=PROJECT_ROOT, env=variables(), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asked, value]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
