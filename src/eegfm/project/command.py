"""A command of Kedro's with our ``--params``, and with one line for a mistake on the command line."""

import copy
from collections.abc import Callable
from typing import Any

import click

from eegfm.errors import ConfigError
from eegfm.project.params_option import parsed


class OneLineCommand(click.Command):
    """A copy of a command with another function behind it.

    Click prints a mistake on the command line in four lines, and Kedro prints its own without their text.

    Args:
        command: The command that is copied.
        callback: Is called with the options, by name.
    """

    def __init__(self, command: click.Command, callback: Callable[..., Any]) -> None:
        options = [copy.copy(option) for option in command.params]
        for option in options:
            if option.name == "params":
                option.callback = parsed
        super().__init__(
            command.name, command.context_settings, callback, options, help=command.help, epilog=command.epilog
        )

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options.

        Raises:
            ConfigError: An option does not exist, or has an invalid value.
        """
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            raise _one_line(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function.

        Raises:
            ConfigError: Kedro refuses the options.
        """
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise _one_line(error) from error


def _one_line(error: click.ClickException) -> ConfigError:
    return ConfigError(" ".join(error.format_message().split()))
