"""What is slow to make and never changed: the first worker of pytest-xdist that asks makes it, the others read it."""

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest
from filelock import FileLock

Made = TypeVar("Made")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Made]) -> Made:
    """Return what was made in this run of the tests under this name, and make it if nobody has."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of the folders of all workers
    file = root / f"{name}.pickle"
    with FileLock(file.with_suffix(".lock")):
        if not file.exists():
            file.write_bytes(pickle.dumps(make()))
    made: Made = pickle.loads(file.read_bytes())  # noqa: S301 - bytes of this run
    return made
