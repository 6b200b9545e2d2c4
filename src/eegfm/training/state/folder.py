"""Folder of the states of one run: the last few, and the one of the best validation."""

import logging
import re
import shutil
from pathlib import Path

from eegfm.errors import DamageError
from eegfm.files import remove_leftovers
from eegfm.training.state.content import TrainState
from eegfm.training.state.file import read_state, write_state

logger = logging.getLogger(__name__)

_NAME = re.compile(r"step_(\d+)\.ckpt")
_BEST = "best.ckpt"


class StateFolder:
    """States of one run, each in a file that is whole or not there.

    Args:
        folder: The folder; it is made with the first state.
        keep: Number of states that are kept, apart from the best.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, state: TrainState) -> None:
        """Write a state, then remove those that are too old, and any of a later step, which could not be read."""
        write_state(self.folder / f"step_{state.step}.ckpt", state)
        found = self._found()
        older = [step for step in sorted(found, reverse=True) if step <= state.step]
        for step in {*found} - {*older[: self._keep]}:
            found[step].unlink(missing_ok=True)

    def save_best(self, state: TrainState) -> None:
        """Write the state of the best validation in the place of the last best one."""
        write_state(self.folder / _BEST, state)

    def newest(self, fingerprint: str | None = None) -> TrainState | None:
        """Read the newest state that is whole; say why newer ones are not used.

        Args:
            fingerprint: Name of the run that the states must be of; any by default.

        Raises:
            CheckpointError: A state is of another format. It is still good for another version of eegfm.
        """
        for step, path in sorted(self._found().items(), reverse=True):
            state = _read(path, "the checkpoint before it is used", fingerprint)
            if state is not None and state.step == step:
                return state
        return None

    def last_step(self) -> int | None:
        """Step of the newest state, whole or not; None without states."""
        return max(self._found(), default=None)

    def at(self, step: int) -> TrainState:
        """Read the state of one step.

        Raises:
            DamageError: It is not whole.
            CheckpointError: It is of another format.
        """
        return read_state(self.folder / f"step_{step}.ckpt")

    def best(self, fingerprint: str | None = None) -> TrainState | None:
        """Read the state of the best validation; None if there is none that is whole, with a line where it is not."""
        path = self.folder / _BEST
        return _read(path, "the weights of the best validation are lost", fingerprint) if path.exists() else None

    def clear(self) -> None:
        """Remove all states."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove temporary files of killed processes."""
        for path in self._temporary():
            remove_leftovers(path)

    def _found(self) -> dict[int, Path]:
        if not self.folder.is_dir():
            return {}
        matches = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return {int(match[1]): path for match, path in matches if match}

    def _temporary(self) -> set[Path]:
        return {
            path.with_name(path.name.split(".ckpt.")[0][1:] + ".ckpt") for path in self.folder.glob(".*.ckpt.*.tmp")
        }


def _read(path: Path, what_then: str, fingerprint: str | None) -> TrainState | None:
    try:
        state = read_state(path)
    except DamageError as error:
        logger.warning("%s; %s", error, what_then)
        return None
    if fingerprint is not None and state.fingerprint != fingerprint:
        logger.warning("%s: is of run %s, not of %s; %s", path, state.fingerprint, fingerprint, what_then)
        return None
    return state
