"""Folders of runs, side by side: which one a training may go on from, and which ones may go."""

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eegfm.errors import TrainingError
from eegfm.files import exclusive
from eegfm.overwrite import PARAMS_FILE, is_only_longer

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LOCK = "run.lock"


def busy(directory: Path, who: str) -> TrainingError:
    """The error for a second process that would train the same run."""
    return TrainingError(f"{directory}: {who} trains this run; wait until it has ended")


def shorter_runs(directory: Path, identity: Mapping[str, Any]) -> list[Path]:
    """Folders of runs that differ from this one in nothing but fewer steps.

    Args:
        directory: Folder of this run.
        identity: What this run is named by.
    """
    return [
        path
        for path, made in _runs(directory.parent)
        if path != directory and _is_identity(made) and is_only_longer(made, identity)
    ]


def prune(runs: Path, keep: int, never: Collection[str]) -> None:
    """Remove the folders of all runs but the latest ones.

    A run that another process trains now is kept, and so is the one whose encoder is stored.

    Args:
        runs: Folder of all runs.
        keep: Number of runs that are kept, those of ``never`` among them.
        never: Names of runs that are kept in any case.
    """
    latest = sorted(_runs(runs), key=lambda run: (run[0].name in never, _began_s(run[0])), reverse=True)
    for directory, _ in latest[keep:]:
        if directory.name not in never and _removed(directory):
            logger.info("keep_runs %d: the folder of run %s is removed", keep, directory.name)


def _removed(directory: Path) -> bool:
    """Remove a folder unless its run is under way."""
    with suppress(TrainingError), exclusive(directory / LOCK, lambda who: busy(directory, who)):
        shutil.rmtree(directory / CHECKPOINTS, ignore_errors=True)
        (directory / PARAMS_FILE).unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        return True
    return False


def _runs(runs: Path) -> Iterator[tuple[Path, Any]]:
    """Folders of runs, and what each is named by. Other folders are no business of ours."""
    for file in sorted(runs.glob(f"*/{PARAMS_FILE}")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        yield file.parent, content.get("identity") if isinstance(content, dict) else None


def _is_identity(made: Any) -> bool:
    return isinstance(made, dict) and isinstance(made.get("params"), dict)


def _began_s(directory: Path) -> float:
    return (directory / PARAMS_FILE).stat().st_mtime
