"""Kedro's ``run`` and Kedro-Viz's ``viz`` for this project. A mistake and a stop end with one line each."""

import inspect
from collections.abc import Mapping
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.utils import load_obj
from kedro_viz.launchers.cli.main import viz as kedro_viz

from eegfm.errors import ConfigError
from eegfm.project.choices import check_choices
from eegfm.project.command import OneLineCommand
from eegfm.stopping import stoppable

RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner")
_CHOSE_NOTHING = ("Failed to find the pipeline", "Pipeline does not contain", "Pipeline contains no nodes")


def _run(**given: Any) -> Any:
    assert kedro_run.callback is not None
    _check_runner(given["runner"] or RUNNERS[0], given["runner_params"])
    try:
        return kedro_run.callback(**given)
    except ValueError as error:
        # Kedro says what it did not find, but not what there is.
        if str(error).startswith(_CHOSE_NOTHING):
            pipelines.set_requested(None)
            check_choices(pipelines, given)
        raise


def _check_runner(name: str, params: Mapping[str, Any]) -> None:
    """Refuse a runner that is not there, and options that it does not take."""
    try:
        signature = inspect.signature(load_obj(name, "kedro.runner"))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"--runner: there is no {name!r}; known: {', '.join(RUNNERS)}") from error
    unknown = sorted(params.keys() - signature.parameters.keys())
    if unknown:
        known = ", ".join(signature.parameters)
        raise ConfigError(f"--runner-params: {name} does not know {unknown[0]!r}; known: {known}")
    if not isinstance(params.get("max_workers", 1), int):
        raise ConfigError(f"--runner-params: max_workers is a whole number (found {params['max_workers']!r})")


run = OneLineCommand(kedro_run, stoppable()(_run))


@click.group(name="eegfm")
def cli() -> None:
    """Commands of this project that differ from Kedro's."""


cli.add_command(run)
# Kedro-Viz's commands are global ones, which come before those of a project, so that a command of ours would be hidden.
kedro_viz.lazy_subcommands["run"] = "eegfm.project.viz.run"
