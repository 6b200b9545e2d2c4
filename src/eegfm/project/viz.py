"""Kedro-Viz's ``run`` for this project: mistakes are found before its server starts, and the server ends with it."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kedro_viz.server
from kedro.framework.project import pipelines, settings
from kedro_viz.launchers.cli.run import _VIZ_PROCESSES
from kedro_viz.launchers.cli.run import run as kedro_viz_run

from eegfm.errors import ConfigError
from eegfm.project.choices import check_choices
from eegfm.project.command import OneLineCommand
from eegfm.stopping import stoppable

_STOP_S = 3.0
"""Time that a server has to end by itself."""
_WATCH_S = 0.2
_run_server = kedro_viz.server.run_server


def _run(**given: Any) -> None:
    if not given["load_file"]:
        _check(given)
    assert kedro_viz_run.callback is not None
    with stoppable("Kedro-Viz's server is stopped too"), _server_that_ends():
        try:
            kedro_viz_run.callback(**given)
        except ValueError as error:
            if "TCP port" not in str(error):
                raise
            raise ConfigError(f"--port={given['port']}: {error}; take one below 49148") from error
        for server in list(_VIZ_PROCESSES.values()):
            server.join()


run = OneLineCommand(kedro_viz_run, _run)


def _check(given: dict[str, Any]) -> None:
    """Load what the server will load: a mistake is one line here, and a traceback in the server's process."""
    context = settings.SESSION_CLASS.create(env=given["env"], runtime_params=given["params"]).load_context()
    check_choices(pipelines, {"pipeline": given["pipeline"]})
    _ = context.catalog


@contextmanager
def _server_that_ends() -> Iterator[None]:
    """No server outlives the block, and the command does not wait for a server that has failed."""
    kedro_viz.server.run_server = _serve
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        yield
    finally:
        kedro_viz.server.run_server = _run_server
        for child in multiprocessing.active_children():
            child.terminate()
            child.join(_STOP_S)
            child.kill()


def _end_with_server() -> None:
    """Kedro-Viz waits ten minutes for the answer of a server that has ended."""
    while not (ended := [server.exitcode for server in list(_VIZ_PROCESSES.values()) if server.exitcode]):
        time.sleep(_WATCH_S)
    os.write(2, f"eegfm: error: Kedro-Viz's server ended with exit code {ended[0]}, see above\n".encode())
    os._exit(1)


def _serve(**kwargs: Any) -> None:
    """The server's process. Its parent handles Ctrl-C; it ends if its parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _run_server(**kwargs)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)
