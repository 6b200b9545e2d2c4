"""Path patterns with named fields, such as ``"S{subject}/S{subject}R{run}"``."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from eegfm.errors import EegfmError


class _Part(NamedTuple):
    """One part of a pattern: a field, or fixed text where ``field`` is empty.

    Args:
        text: The fixed text.
        field: The field.
        again: Fields bound before this part that it or a later one repeats.
    """

    text: str
    field: str
    again: tuple[str, ...]


class PathPattern:
    """A pattern that whole paths follow; a field is one character or more, none of them ``/``.

    Args:
        pattern: Text with fields in braces; a field that stands twice must match twice.
        fields: Fields that it may name; ``subject`` is required.

    Raises:
        EegfmError: An unknown field, a brace without its partner, or no ``{subject}``.
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
        """What a path says of the fields.

        Returns:
            Nothing for a path that does not follow the pattern, one reading, or, where there are more, two of them:
            the one with the shortest first fields and the one with the longest. They are the same only where there is
            one reading, since two readings differ in the length of a field.
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

    A place that leads nowhere is looked at once: what follows it rests on the fields that are repeated there, and on
    nothing else that was read before. A path of n characters takes about n² steps at most where no field is repeated.
    """

    def __init__(self, parts: Sequence[_Part], path: str, *, longest: bool) -> None:
        self._parts, self._path, self._longest = parts, path, longest
        self._bound: dict[str, str] = {}
        self._dead: set[tuple[int, int, tuple[str, ...]]] = set()

    def reading(self) -> dict[str, str] | None:
        return dict(self._bound) if self._leads_to_the_end(0, 0) else None

    def _leads_to_the_end(self, number: int, at: int) -> bool:
        """Whether the parts from one on can be read from a place on; binds their fields if so."""
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
        """Where a field may end: before the fixed text that follows it, and not behind a ``/``."""
        slash = self._path.find("/", at)
        stops = range(at + 1, (len(self._path) if slash < 0 else slash) + 1)
        following = self._parts[number + 1].text if number + 1 < len(self._parts) else ""
        return (
            stop for stop in (reversed(stops) if self._longest else stops) if self._path.startswith(following, stop)
        )
