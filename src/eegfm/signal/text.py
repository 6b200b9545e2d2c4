"""Strip invisible blanks from annotations, labels and table cells."""

import unicodedata


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


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"
