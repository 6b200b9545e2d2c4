"""Base class of all configurations, and the import of the class that a configuration builds."""

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def identity(self) -> dict[str, Any]:
        """What decides a result, as plain data; a member leaves out what only a machine or a reader cares for."""
        return self.model_dump(mode="json")


def refuse_unused(config: BaseModel, names: Iterable[str], why: str) -> None:
    """Refuse options that have another value than their default where nothing reads them.

    Args:
        config: The configuration, whole.
        names: Options that are not read.
        why: The choice that leaves them unread, e.g. ``at level window``.

    Raises:
        ValueError: With the first of them.
    """
    fields = type(config).model_fields
    for name in names:
        if getattr(config, name) != fields[name].get_default(call_default_factory=True):
            raise ValueError(f"{name} is not used {why}; leave it out")


class Buildable(StrictModel):
    """A configuration of one member of a kind; ``implementation`` names the class that it configures.

    The path is a constant of the class, never of the configuration: a YAML file or a checkpoint can name
    only members of the menu, no code.
    """

    implementation: ClassVar[str]

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Import the member's file and build it: ``Class(config, *args, **kwargs)``."""
        module, _, name = self.implementation.partition(":")
        return getattr(importlib.import_module(module), name)(self, *args, **kwargs)


def refuse_repeated(values: Sequence[str], what: str) -> tuple[str, ...]:
    """Refuse a list that names something twice.

    Raises:
        ValueError: It does.
    """
    repeated = sorted(value for value, n in Counter(values).items() if n > 1)
    if repeated:
        raise ValueError(f"{what} {', '.join(repeated)} stands there twice; each may stand there once")
    return tuple(values)
