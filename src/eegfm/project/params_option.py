"""The value of ``--params``: ``key=value,key=[a,b],key="a, b"``. Kedro's own parser splits at every comma."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import click
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from eegfm.errors import ConfigError

_PLAIN = re.compile(r"[\w./@%+:-]+( [\w./@%+:-]+)*")
_CLOSING = {"[": "]", "{": "}"}


def parse_params(text: str) -> dict[str, Any]:
    """Nested parameters of one option.

    A value is read as YAML. A comma inside brackets, braces or quotes belongs to the value.

    Raises:
        ConfigError: A part is no ``key=value``, is not closed, or cannot be read.
    """
    whole: Any = OmegaConf.create()
    for item in _split(text):
        key, equals, value = item.partition("=")
        key = key.strip()
        if not equals or not all(key.split(".")):
            raise ConfigError(
                f"--params: {item!r} is no key=value, such as pretrain.seed=3; a list is [a,b], text with a comma "
                "stands in quotes inside those of the shell: --params='report.title=\"a, b\"'"
            )
        try:
            whole = OmegaConf.merge(whole, OmegaConf.from_dotlist([f"{key}={value}"]))
        except (YAMLError, OmegaConfBaseException) as error:
            raise ConfigError(
                f"--params: the value of {key}, {value}, cannot be read; put text with special signs in quotes inside "
                f"those of the shell: --params='{key}=\"{value}\"'; a table has blanks after its colons: {{a: [x]}}"
            ) from error
    found: Any = OmegaConf.to_container(whole)
    return dict(found)


def parsed(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Callback of click's option. A ``--config`` file gives a mapping already."""
    return value if isinstance(value, Mapping) else parse_params(value)


def as_option(params: Mapping[str, Any]) -> str:
    """Write parameters as an option of a shell command, with a space before it; empty if there are none."""
    given = ",".join(_as_given(params))
    return f" {shlex.quote(f'--params={given}')}" if given else ""


def _split(text: str) -> Iterator[str]:
    """Parts between commas. Brackets and quotes count only if the value begins with one."""
    begin = 0
    while begin < len(text):
        equals = text.find("=", begin)
        comma = text.find(",", begin)
        end = len(text) if comma < 0 else comma
        if begin <= equals < end:
            start = equals + 1 + len(text[equals + 1 :]) - len(text[equals + 1 :].lstrip())
            closed = _end_of_value(text, start)
            comma = text.find(",", closed)
            end = len(text) if comma < 0 else comma
        if text[begin:end].strip():
            yield text[begin:end].strip()
        begin = end + 1


def _end_of_value(text: str, start: int) -> int:
    """Position behind the quotes or brackets that a value begins with; its start if it begins with none."""
    open_brackets: list[str] = []
    quote = ""
    place = start
    while place < len(text):
        sign = text[place]
        if quote:
            if sign == "\\" and quote == '"':
                place += 1
            elif sign == quote:
                quote = ""
        elif sign in "\"'" and (place == start or open_brackets):
            quote = sign
        elif sign in _CLOSING and (place == start or open_brackets):
            open_brackets.append(_CLOSING[sign])
        elif open_brackets and sign == open_brackets[-1]:
            open_brackets.pop()
        if not quote and not open_brackets:
            return place + 1 if sign in "\"']}" else start
        place += 1
    if start < len(text):
        raise ConfigError(f"--params: {text[start]} is opened in {text[start:]!r} and not closed")
    return start


def _as_given(params: Mapping[str, Any], key: str = "") -> Iterator[str]:
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _as_given(value, f"{key}{name}.")
        else:
            yield f"{key}{name}={_written(value)}"


def _written(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and _is_read_as_itself(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{','.join(_written(v) for v in value)}]"
    return json.dumps(value)


def _is_read_as_itself(text: str) -> bool:
    """Tell whether text without quotes is read as this text: not as a number, nor as a sign of YAML such as ``@``."""
    try:
        return bool(OmegaConf.from_dotlist([f"x={text}"])["x"] == text)
    except (YAMLError, OmegaConfBaseException):
        return False
