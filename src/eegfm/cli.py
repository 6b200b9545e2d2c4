"""Kedro's ``run`` command for this project. A stopped run ends with one line."""

import copy

import click
from kedro.framework.cli.project import run as kedro_run

from eegfm.stopping import stoppable

run = copy.copy(kedro_run)
assert kedro_run.callback is not None
run.callback = stoppable()(kedro_run.callback)


@click.group(name="eegfm")
def cli() -> None:
    """Commands of this project that differ from Kedro's."""


cli.add_command(run)
