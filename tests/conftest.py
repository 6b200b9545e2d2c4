"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

# The models of the tests are too small to gain from a second thread, and lose much to it on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the project; tests that need it are skipped where it is absent."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real recordings are not here: ../shared/data does not exist")
    return folder
