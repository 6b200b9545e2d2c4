"""Parse JSON that others wrote. No depth, number or repeated name makes the parser fail in another way than others."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

MAX_DEPTH = 64
MAX_DIGITS = 1000
"""Most digits of a whole number. Floating point ends at 309 digits, and Python refuses 4300 in words of its own."""


def parse_json(text: str | bytes, *, strict: bool = False) -> Any:
    """Parse one JSON value.

    Args:
        text: The text; bytes are UTF-8.
        strict: Refuse names that occur twice in one object, NaN and infinity, too.

    Raises:
        ValueError: The text is no JSON, is nested deeper than ``MAX_DEPTH``, or has a number of more than
            ``MAX_DIGITS`` digits. The message is one line without the text.
    """
    try:
        if strict:
            value = json.loads(text, parse_int=_whole, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        else:
            value = json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(value)
    return value


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits; {MAX_DIGITS} are allowed")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} occurs twice")
    return found


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                inner += [v for v in one.values() if isinstance(v, dict | list)]
            elif isinstance(one, list):
                inner += [v for v in one if isinstance(v, dict | list)]
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
