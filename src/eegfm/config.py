"""Base class of all configurations, and the import of the class that a configuration builds."""

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Count = Annotated[int, Field(gt=0, le=65_536)]
"""A width, a length in samples or a number of parts of a module. No network here is anywhere near the limit."""
Depth = Annotated[int, Field(gt=0, le=1024)]
"""A number of layers."""
Number = Annotated[int, Field(gt=0, le=10**9)]
"""A number of steps, windows or repetitions."""
Amount = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
"""A scale, a duration or a ratio of widths."""


class StrictModel(BaseModel):
    """A frozen configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def identity(self) -> dict[str, Any]:
        """Options that decide a result, as plain data. Options for the machine or the reader are left out."""
        return self.model_dump(mode="json")


def first_problem(error: ValidationError) -> str:
    """The first problem of a configuration, in one line: where it is, and what is allowed there."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    return ": ".join(filter(None, [".".join(map(str, first["loc"]))[:200], message]))


def refuse_unused(config: BaseModel, names: Iterable[str], why: str) -> None:
    """Refuse options that differ from their default although nothing reads them.

    Args:
        config: The whole configuration.
        names: Options that are not read.
        why: The choice that makes them unread, e.g. ``at level window``.

    Raises:
        ValueError: Names the first such option.
    """
    fields = type(config).model_fields
    for name in names:
        if getattr(config, name) != fields[name].get_default(call_default_factory=True):
            raise ValueError(f"{name} is not used {why}; leave it out")


class Buildable(StrictModel):
    """A configuration of one member of a kind. ``implementation`` names the class that it configures.

    The path is a constant of the class, never a value of the configuration. A YAML file or a checkpoint can therefore
    name only members of the union, no code.
    """

    implementation: ClassVar[str]

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Import the member's file and build it: ``Class(config, *args, **kwargs)``."""
        module, _, name = self.implementation.partition(":")
        return getattr(importlib.import_module(module), name)(self, *args, **kwargs)


def unnamed_is(name: str) -> BeforeValidator:
    """Let options without a name be those of this member of a union."""
    return BeforeValidator(lambda value: {"name": name, **value} if isinstance(value, dict) else value)


def listed(example: str) -> BeforeValidator:
    """Refuse a single text where a list is meant. ``--params=KEY=[NAME]`` needs the brackets."""

    def check(value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"must be a list, such as [{value or example}]")
        return value

    return BeforeValidator(check)


def refuse_repeated(values: Sequence[str], what: str) -> tuple[str, ...]:
    """Refuse a list with repeated names.

    Raises:
        ValueError: A name occurs twice.
    """
    repeated = sorted(value for value, n in Counter(values).items() if n > 1)
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)} is listed twice; list it once")
    return tuple(values)
