"""How many examples a property is tried on."""

import os

_TIMES = int(os.environ.get("EEGFM_EXAMPLES", "1"))


def examples(n: int) -> int:
    """The number by default, or as many times as ``EEGFM_EXAMPLES`` says. Each run draws others."""
    return n * _TIMES
