"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the project; tests that need it are skipped where it is absent."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real recordings are not here: ../shared/data does not exist")
    return folder
