"""Find braindecode for tests."""

import importlib
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest


def braindecode_models() -> ModuleType:
    """Import braindecode's models, with torchaudio or what stands in for it; skip the test where they are missing."""
    if find_spec("braindecode") is None:
        pytest.skip(
            "braindecode is not installed: pip install --no-deps -c constraints.txt -r tests/zoo/requirements.txt"
        )
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError):
        for name in [n for n in sys.modules if n.partition(".")[0] in ("torchaudio", "braindecode")]:
            del sys.modules[name]
        sys.path.insert(0, str(Path(__file__).parent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages
        return importlib.import_module("braindecode.models")
