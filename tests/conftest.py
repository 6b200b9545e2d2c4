"""Fixtures shared by all tests."""

import gc
import os
import sys

gc.disable()  # until all is imported: see pytest_collection_finish

# One thread each, before numpy or torch is imported. The models of the tests are too small to gain from a second
# thread, and lose much to it on a busy machine: the other worker of pytest-xdist makes every machine busy.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Each worker, and each of the hundred programs that tests start, would compile the package and the tests anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test loses power: 5 ms of waiting for the disk show nothing. Tests that watch this call put their own in its place.
os.fsync = lambda descriptor: None  # type: ignore[assignment]

# ruff: noqa: E402
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import eegfm  # noqa: F401 - before torch computes anything: see eegfm.processor
import remembered

remembered.remember()

from kedro_project import PROJECT_ROOT, Run, files_under, run_project
from warm_process import TORCH, WarmProcess

if TYPE_CHECKING:
    from eegfm.store.reader import SignalStore

OF_TESTS = {"__pycache__", ".hypothesis", ".pytest_cache", ".import_linter_cache"}
"""Folders that other tests write to meanwhile, in the other worker."""


SLOW_TO_MAKE = {"run", "warm", "outcomes", "exported", "verdicts", "tally"}
"""Fixtures of seconds, which many tests share."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what is slow to make come first: one worker makes it, once, and none waits for it at the end."""
    items.sort(key=lambda item: not SLOW_TO_MAKE & {*getattr(item, "fixturenames", ())})


def pytest_collection_finish() -> None:
    """What the imports left stays: the garbage collector need not go through millions of objects again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings beside the project; tests that need it are skipped where it is absent."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real recordings are not here: ../shared/data does not exist")
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole project in conf/test, once; everything it writes lies under its data folder."""
    before = files_under(PROJECT_ROOT)
    done = run_project("test", tmp_path_factory.mktemp("project") / "data", "__default__")
    new = {p for p in files_under(PROJECT_ROOT) - before if not OF_TESTS & {*p.parts}}
    assert not new, "params:data moves everything that a run writes"
    return done


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    """Programs that fork from a process which has imported torch."""
    with WarmProcess(TORCH) as process:
        yield process


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory) -> "SignalStore":
    """Signals of ``answered_store``, written once. Nobody changes them."""
    from answered_store import write_answered
    from eegfm.store.reader import SignalStore

    folder = tmp_path_factory.mktemp("answered")
    write_answered(folder)
    return SignalStore(folder)


@pytest.fixture(scope="module")
def no_images() -> Iterator[None]:
    """Trainings of a module draw no images, which take half a second each: ``run`` and the tests of images do."""
    import numpy as np

    from eegfm.training.logs import reconstructions

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconstructions, "reconstruction_image", lambda item: np.zeros((1, 1, 3), dtype=np.uint8))
        yield


@pytest.fixture(autouse=True)
def _default_corpora() -> Iterator[None]:
    """Pipelines are built for the corpora and phases of the last session; no test inherits them from another.

    Fixtures of a module make sessions before this one is set up, so it counts before a test as well.
    """
    from eegfm.pipeline_registry import DEFAULT_ROLES, use_roles

    use_roles(DEFAULT_ROLES)
    yield
    use_roles(DEFAULT_ROLES)
