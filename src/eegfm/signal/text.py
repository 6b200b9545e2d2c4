"""Strip invisible blanks from annotations, labels and table cells, and compare them with patterns."""

import unicodedata
from fnmatch import fnmatchcase
from functools import lru_cache


def stripped(text: str) -> str:
    """Text without the blanks around it. Blanks inside the text stay.

    Blanks are white space of every kind, including no-break spaces, and invisible characters such as the byte order
    mark. Zero bytes are no blanks, because damage leaves them.
    """
    if text.isascii():
        return text.strip()
    start, stop = 0, len(text)
    while start < stop and _is_blank(text[start]):
        start += 1
    while stop > start and _is_blank(text[stop - 1]):
        stop -= 1
    return text[start:stop]


@lru_cache(maxsize=4096)
def fits(text: str, patterns: tuple[str, ...]) -> bool:
    """True if a text matches one of the patterns. Case and surrounding blanks do not count."""
    return any(fnmatchcase(text.strip().lower(), pattern.lower()) for pattern in patterns)


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
