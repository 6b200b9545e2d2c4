"""Path patterns with named fields, such as ``"S{subject}/S{subject}R{run}"``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from eegfm.errors import EegfmError


class _Part(NamedTuple):
    """One part of a pattern: a field, or fixed text if ``field`` is empty.

    Args:
        text: The fixed text.
        field: The field.
        again: Earlier fields that this part or a later part repeats.
    """

    text: str
    field: str
    again: tuple[str, ...]


class PathPattern:
    """A pattern of whole paths. A field matches one or more characters except ``/``.

    Args:
        pattern: Text with fields in braces. A field that occurs twice must match the same text twice.
        fields: Allowed fields; ``subject`` is required.

    Raises:
        EegfmError: The pattern has an unknown field, a single brace, or no ``{subject}``.
    """

    def __init__(self, pattern: str, fields: Iterable[str]) -> None:
        known = tuple(fields)
        pieces = re.split(r"\{(\w*)\}", pattern)  # text, field, text, …
        for field in pieces[1::2]:
            if field not in known:
                raise EegfmError(f"corpus.pattern {pattern!r}: unknown field {{{field}}}; known: {', '.join(known)}")
        if any(brace in text for text in pieces[::2] for brace in "{}"):
            raise EegfmError(f"corpus.pattern {pattern!r}: a brace has no partner; fields are written as {{subject}}")
        if "subject" not in pieces[1::2]:
            raise EegfmError(f"corpus.pattern {pattern!r}: {{subject}} is missing; splits are by person")
        self._parts = tuple(
            _Part("" if at % 2 else piece, piece if at % 2 else "", _again(pieces, at))
            for at, piece in enumerate(pieces)
            if piece
        )

    def readings(self, path: str) -> tuple[dict[str, str], ...]:
        """Readings of a path: values of the fields.

        Returns:
            No reading for a path that does not match, one reading, or two of several readings: the one with the
            shortest first fields and the one with the longest. Two readings differ in the length of a field, so these
            two are equal only if there is a single reading.
        """
        shortest = _Search(self._parts, path, longest=False).reading()
        if shortest is None:
            return ()
        longest = _Search(self._parts, path, longest=True).reading()
        assert longest is not None, "a path that has a shortest reading has a longest"
        return (shortest,) if shortest == longest else (shortest, longest)


def _again(pieces: Sequence[str], at: int) -> tuple[str, ...]:
    before, after = pieces[1:at:2], pieces[at + (at + 1) % 2 :: 2]
    return tuple(sorted(set(before) & set(after)))


class _Search:
    """The first reading of a path, in order of the lengths of its fields.

    A position that fails is tried once. The rest of the match depends only on the position and on earlier fields that
    are repeated later. Without repeated fields, a path of n characters takes about n² steps at most.
    """

    def __init__(self, parts: Sequence[_Part], path: str, *, longest: bool) -> None:
        self._parts, self._path, self._longest = parts, path, longest
        self._bound: dict[str, str] = {}
        self._dead: set[tuple[int, int, tuple[str, ...]]] = set()

    def reading(self) -> dict[str, str] | None:
        return dict(self._bound) if self._leads_to_the_end(0, 0) else None

    def _leads_to_the_end(self, number: int, at: int) -> bool:
        """True if the remaining parts match from a position on. If so, binds their fields."""
        if number == len(self._parts):
            return at == len(self._path)
        part = self._parts[number]
        place = (number, at, tuple(self._bound[field] for field in part.again))
        if place in self._dead:
            return False
        if not part.field or part.field in part.again:
            text = self._bound[part.field] if part.field else part.text
            found = self._path.startswith(text, at) and self._leads_to_the_end(number + 1, at + len(text))
        else:
            found = any(self._binds(number, at, stop) for stop in self._stops(number, at))
        if not found:
            self._dead.add(place)
        return found

    def _binds(self, number: int, at: int, stop: int) -> bool:
        self._bound[self._parts[number].field] = self._path[at:stop]
        return self._leads_to_the_end(number + 1, stop)

    def _stops(self, number: int, at: int) -> Iterator[int]:
        """Possible ends of a field: before the fixed text after it, and not after a ``/``."""
        slash = self._path.find("/", at)
        stops = range(at + 1, (len(self._path) if slash < 0 else slash) + 1)
        following = self._parts[number + 1].text if number + 1 < len(self._parts) else ""
        return (
            stop for stop in (reversed(stops) if self._longest else stops) if self._path.startswith(following, stop)
        )
