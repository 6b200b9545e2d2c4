"""Flags for side files that are not as they should be. The signal does not need them, so the recording gets in.

``kind`` is the end of the file's name, e.g. ``events.tsv``.
"""


def unreadable(kind: str) -> str:
    """Nothing of the file is used."""
    return f"side_file_unreadable:{kind}"


def not_utf8(kind: str, *, is_utf8: bool) -> tuple[str, ...]:
    """The file has another encoding; its letters beyond ASCII may have been taken for others."""
    return () if is_utf8 else (f"side_file_not_utf8:{kind}",)


def rows_left_out(kind: str, n: int) -> tuple[str, ...]:
    """Lines whose columns cannot be told, or that do not say what they are about."""
    return (f"side_file_rows_left_out:{kind}:{n}",) if n else ()


def not_understood(kind: str, what: str) -> str:
    """A column or key has values that are not understood and count as missing."""
    return f"side_file_not_understood:{kind}:{'_'.join(what.split())}"
