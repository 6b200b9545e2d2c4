"""Replace entries of a catalog without Kedro's warning about it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_KEDRO = logging.getLogger("kedro.io.data_catalog")


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Kedro's warning that an entry is replaced, where that is meant."""
    was_disabled, _KEDRO.disabled = _KEDRO.disabled, True
    try:
        yield
    finally:
        _KEDRO.disabled = was_disabled
