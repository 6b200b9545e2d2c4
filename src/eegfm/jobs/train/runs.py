"""Folders of runs, side by side: which one a training may go on from, and which ones may go."""

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eegfm.errors import TrainingError
from eegfm.files import exclusive, write_atomically
from eegfm.overwrite import PARAMS_FILE, is_only_longer
from eegfm.training.state.folder import StateFolder

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LOCK = "run.lock"


def busy(directory: Path, who: str) -> TrainingError:
    """Return the error for a second process that would train the same run."""
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


def write_params(directory: Path, params: Mapping[str, Any], identity: Mapping[str, Any], n_steps: int) -> None:
    """Write the parameters of a run, and what it is named by. ``eegfm.overwrite`` tells from that how two runs differ.

    Args:
        directory: Folder of the run.
        params: All choices, as plain data.
        identity: What the run is named by.
        n_steps: Optimizer steps of the run; without a state of the last of them it is unfinished.
    """
    content = {"params": params, "n_steps": n_steps, "mixture_sha256": identity["mixture"], "identity": identity}
    write_atomically(directory / PARAMS_FILE, (json.dumps(content, indent=2) + "\n").encode())


def prune(runs: Path, keep: int, never: Collection[str]) -> None:
    """Remove the folders of all finished runs but the latest ones, and of those that have no state to go on from.

    A run that another process trains now is kept, and so is the one whose encoder is stored. An unfinished run that
    could go on is kept with a line that names its folder.

    Args:
        runs: Folder of all runs.
        keep: Number of runs that are kept, those of ``never`` among them, unfinished ones not.
        never: Names of runs that are kept in any case.
    """
    unfinished = {d: said for d, _ in _runs(runs) if d.name not in never and (said := _unfinished(d))}
    finished = [directory for directory, _ in _runs(runs) if directory not in unfinished]
    latest = sorted(finished, key=lambda directory: (directory.name in never, _began_s(directory)), reverse=True)
    for directory in latest[keep:]:
        if directory.name not in never and _removed(directory):
            logger.info("keep_runs %d: the folder of run %s is removed", keep, directory.name)
    for directory, said in unfinished.items():
        logger.info(
            "keep_runs %d: run %s is unfinished (%s) and kept; if it need not go on, remove %s",
            keep,
            directory.name,
            said,
            directory,
        )


def _unfinished(directory: Path) -> str:
    """Return how far a run has come that is not finished and can go on; empty for every other."""
    last = StateFolder(directory / CHECKPOINTS, 1).last_step()
    n_steps = (_content(directory / PARAMS_FILE) or {}).get("n_steps")
    return f"step {last} of {n_steps or 'an unknown number'}" if last is not None and last != n_steps else ""


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
        if (content := _content(file)) is not None:
            yield file.parent, content.get("identity")


def _content(file: Path) -> dict[str, Any] | None:
    """Return what stands in the file of a run; nothing of what is no mapping, None if it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else {}


def _is_identity(made: Any) -> bool:
    return isinstance(made, dict) and isinstance(made.get("params"), dict)


def _began_s(directory: Path) -> float:
    return (directory / PARAMS_FILE).stat().st_mtime
