"""What tests and their programs need not compute again: files of a configuration, packages of this machine."""

import importlib.metadata
import io
import pickle
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

_load = OmegaConf.load
_entry_points = importlib.metadata.entry_points


@cache
def _loaded(text: str) -> bytes:
    """What a text becomes, as bytes: whoever asks gets an object of its own, in a thirtieth of the time."""
    return pickle.dumps(_load(io.StringIO(text)))


def _load_once(file: str | Path | io.TextIOBase) -> Any:
    if not isinstance(file, io.StringIO):
        return _load(file)  # type: ignore[arg-type]
    return pickle.loads(_loaded(file.read()))  # noqa: S301 - bytes of this process


def remember() -> None:
    """Parse each text of a configuration once, and look for plugins of Kedro and Lightning once.

    Kedro reads every file of ``conf`` several times in a session, and tests begin hundreds of sessions. To be called
    before other packages import what is replaced here.
    """
    OmegaConf.load = _load_once
    importlib.metadata.entry_points = cache(_entry_points)
