"""A command of Kedro's with our ``--params``, and with one line for a mistake on the command line."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from omegaconf import OmegaConf

from eegfm.errors import ConfigError
from eegfm.project.params_option import parsed
from eegfm.project.yaml_files import check_file


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
            if option.name == "config":
                option.callback = _checked(option.callback)
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


def _checked(read: Callable[..., Any] | None) -> Callable[..., Any]:
    """Kedro's reader of the file of ``--config``, behind a check of the file."""

    def check_and_read(context: click.Context, option: click.Parameter, value: str | None) -> Any:
        if value:
            check_file(value, Path(value).read_bytes())
            block = OmegaConf.to_container(OmegaConf.load(value), resolve=False)
            if not isinstance(block, dict) or not isinstance(block.get(context.info_name or ""), dict):
                raise ConfigError(f"{value}: there is no block {context.info_name}: with options of the command")
        return read(context, option, value) if read else value

    return check_and_read


def _one_line(error: click.ClickException) -> ConfigError:
    return ConfigError(" ".join(error.format_message().split()))
