"""Let one run at a time write to a folder of the data root."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from eegfm.errors import EegfmError
from eegfm.files import exclusive, remove_leftovers

LOCKS = ".locks"
"""Folder of the locks in the data root. The locks stay there; the system frees them when a process ends."""


class RunLock:
    """Locks of all folders that a run writes to, from before its first step to its end.

    Runs that write to different folders may run at once, e.g. the ingestions of two corpora. Readers take no lock: what
    they read belongs to one generation, or ``eegfm.project.lineage`` refuses it.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    def take(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], root: Path) -> None:
        """Take the locks, and remove temporary files that killed runs left.

        Locks of an earlier run of this process, which was broken off, are given back first.

        Args:
            pipeline: The steps of the run.
            catalog: Catalog of their outputs.
            root: The data root. Outputs elsewhere, such as raw folders that are only read, are not locked.

        Raises:
            EegfmError: Another run writes to one of the folders.
        """
        self.release()
        files, folders = _outputs(pipeline, catalog, root)
        with ExitStack() as taken:
            for folder in sorted(folders):
                lock = root / LOCKS / f"{folder.relative_to(root).as_posix().replace('/', '.')}.lock"
                lock.parent.mkdir(parents=True, exist_ok=True)
                taken.enter_context(exclusive(lock, partial(_busy, folder)))
            for file in files:
                remove_leftovers(file)
            self._held = taken.pop_all()

    def release(self) -> None:
        """Give all locks back."""
        self._held.close()


def _outputs(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], root: Path) -> tuple[list[Path], set[Path]]:
    """Files that a run writes inside the data root, and all folders there that it writes to."""
    described = [catalog[name]._describe() for name in sorted(pipeline.all_outputs()) if name in catalog]
    files = [Path(one["filepath"]) for one in described if "filepath" in one]
    folders = {Path(one["path"]) for one in described if "path" in one} | {file.parent for file in files}
    return [f for f in files if f.is_relative_to(root)], {f for f in folders if f.is_relative_to(root)}


def _busy(folder: Path, who: str) -> EegfmError:
    return EegfmError(
        f"{folder}: {who} runs and writes there; wait until it has ended, or write elsewhere with --params=data=FOLDER"
        "; a training of another model over finished data may run beside it: --tags=pretrain --params=model=NAME"
    )
