"""Report on loading weights: the outcome of every weight, and the exceptions that were requested. No torch here."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt

from eegfm.config import StrictModel

Prefix = Annotated[str, Field(min_length=1)]


class LoadExceptions(StrictModel):
    """Allowed differences between a file and a module. Nothing else may differ.

    Attributes:
        allow_missing: Prefixes of weights that the file may lack; they keep their fresh values.
        allow_unexpected: Prefixes of weights of the file that the module has no place for.
        resize: By name, the axis along which a positional table of another length is interpolated.
    """

    allow_missing: tuple[Prefix, ...] = ()
    allow_unexpected: tuple[Prefix, ...] = ()
    resize: dict[str, NonNegativeInt] = Field(default_factory=dict)

    def of(self, prefix: str) -> "LoadExceptions":
        """Return the exceptions for weights whose names begin with a prefix."""

        def kept(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(name for name in names if name.startswith(prefix) or prefix.startswith(name))

        resize = {name: self.resize[name] for name in kept(self.resize)}
        return LoadExceptions(
            allow_missing=kept(self.allow_missing), allow_unexpected=kept(self.allow_unexpected), resize=resize
        )


STRICT = LoadExceptions()
"""None: everything must fit."""


@dataclass(frozen=True)
class LoadReport:
    """Outcome of every weight of a module and of a file.

    Args:
        matched: Names loaded as they are.
        missing: Names that the module has and the file lacks.
        unexpected: Names that the file has and the module lacks, or that no rule of a key map accounts for.
        mismatched: Names with both shapes or types, where these differ.
        left_out: Published names that belong to no encoder, such as heads.
        resized: Names with both shapes, interpolated as asked.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()

    @property
    def n_needed(self) -> int:
        """Number of weights of the module."""
        return len(self.matched) + len(self.missing) + len(self.mismatched) + len(self.resized)

    @property
    def summary(self) -> str:
        """One line, for the log and for errors."""
        found = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.mismatched,
            "resized": self.resized,
            "left out": self.left_out,
        }
        others = "".join(f"; {len(names)} {what} ({listed(names)})" for what, names in found.items() if names)
        return f"{len(self.matched)} of {self.n_needed} weights matched{others}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {"summary": self.summary, "n_needed": self.n_needed} | {k: list(v) for k, v in asdict(self).items()}

    def problems(self, exceptions: LoadExceptions) -> list[str]:
        """Return differences that no exception covers, and exceptions that nothing needs: signs of mistakes."""
        found = {
            "missing": _uncovered(self.missing, exceptions.allow_missing),
            "unexpected": _uncovered(self.unexpected, exceptions.allow_unexpected),
            "of another shape": self.mismatched,
        }
        problems = [f"{len(names)} {what} ({listed(names)})" for what, names in found.items() if names]
        idle = {
            "allow_missing": _idle(self.missing, exceptions.allow_missing),
            "allow_unexpected": _idle(self.unexpected, exceptions.allow_unexpected),
            "resize": [n for n in exceptions.resize if not any(r.split(" ")[0] == n for r in self._of_two_shapes)],
        }
        return problems + [f"{key} names what nothing needs ({listed(names)})" for key, names in idle.items() if names]

    @property
    def _of_two_shapes(self) -> tuple[str, ...]:
        return self.resized + self.mismatched


def listed(names: Sequence[str], n_shown: int = 5) -> str:
    """Return the first names, and how many more there are."""
    more = f", and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(map(_shown, names[:n_shown])) + more


def _shown(name: str, n_most: int = 200) -> str:
    """A name out of a file as one short line without control characters."""
    plain = name if name.isprintable() else ascii(name)
    return plain if len(plain) <= n_most else f"{plain[:n_most]}…"


def _uncovered(names: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith(tuple(prefixes))]


def _idle(names: Sequence[str], prefixes: Sequence[str]) -> list[str]:
    return [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in names)]
