"""Loggers of a run: TensorBoard's files, and a table of all values. Both go on where the run goes on."""

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from eegfm.files import write_atomically

TENSORBOARD, TABLE = "tensorboard", "metrics.csv"
_STEP = "step"


def run_loggers(directory: Path, first_step: int = 0) -> list[Logger]:
    """Return the loggers of a run's folder; they write nothing before the first value.

    Args:
        directory: Folder of the run.
        first_step: Step that the run goes on with, counted from 0: as many were taken. What the files hold of later
            steps is cut off; TensorBoard hides it.
    """
    purge_step = first_step + 1 if first_step else None
    tensorboard = TensorBoardLogger(directory, name=TENSORBOARD, version="", purge_step=purge_step)
    return [tensorboard, TableLogger(directory / TABLE, first_step)]


def remove_logs(directory: Path) -> None:
    """Remove the logs of an earlier run with the same parameters and data, which begins anew."""
    shutil.rmtree(directory / TENSORBOARD, ignore_errors=True)
    (directory / TABLE).unlink(missing_ok=True)


def copy_logs(source: Path, directory: Path) -> None:
    """Copy the logs of another run, which this one continues, over those that are there."""
    remove_logs(directory)
    if (source / TENSORBOARD).is_dir():
        shutil.copytree(source / TENSORBOARD, directory / TENSORBOARD)
    if (source / TABLE).is_file():
        write_atomically(directory / TABLE, (source / TABLE).read_bytes())


class TableLogger(Logger):
    """Write one row per logged step to a CSV file; a value that a step lacks is an empty field.

    Each row is written at once. A row that gets further values, or a new column, is written again. A killed run leaves
    at most its last row torn, which a run that goes on leaves out.

    Args:
        path: The file; its first column is ``step``, optimizer steps that were taken.
        first_step: Steps that were taken before; rows of later ones are removed when the first value is written.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        super().__init__()
        self._path, self._first_step = path, first_step
        self._columns: list[str] | None = None
        self._last: dict[str, str] = {}
        self._last_at = 0

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self._path.stem

    @property
    def version(self) -> str:
        """One file per run, so nothing."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the parameters to ``params.json`` beside the table."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write the values of a step, or add them to its row; steps come in ascending order."""
        assert step is not None, "the module of a training says which step it is"
        if self._columns is None:
            self._open()
        assert self._columns is not None
        values = {name: repr(float(value)) for name, value in metrics.items()}
        text = str(step)
        is_same = self._last.get(_STEP) == text
        row = (self._last if is_same else {_STEP: text}) | values
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen([*self._columns, *new])
        with self._path.open("r+b") as file:
            at = self._last_at if is_same else file.seek(0, io.SEEK_END)
            file.seek(at)
            file.truncate()
            file.write(_lines([row], self._columns))
        self._last, self._last_at = row, at

    def _open(self) -> None:
        """Begin the file, or cut it where the run goes on."""
        columns, rows = _read(self._path) if self._first_step and self._path.exists() else ([_STEP], [])
        self._write(columns, [row for row in rows if int(row[_STEP]) <= self._first_step])

    def _widen(self, columns: list[str]) -> None:
        self._write(columns, _read(self._path)[1])

    def _write(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        head = _lines([dict(zip(columns, columns, strict=True)), *rows[:-1]], columns)
        write_atomically(self._path, head + _lines(rows[-1:], columns))
        self._columns, self._last, self._last_at = columns, rows[-1] if rows else {}, len(head)


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a table. A last line without an end was torn and is left out."""
    whole = path.read_bytes().rpartition(b"\n")[0].decode()
    columns, *rows = list(csv.reader(io.StringIO(whole, newline=""))) or [[_STEP]]
    return columns, [{name: value for name, value in zip(columns, row, strict=True) if value} for row in rows]


def _lines(rows: list[dict[str, str]], columns: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return text.getvalue().encode()
