"""Exchange with the ranks of a training, there and back: JSON, tables and weights in files with checksums."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import ValidationError
from safetensors.numpy import load_file, save

from eegfm.checkpoint import load_checkpoint, save_checkpoint
from eegfm.config import StrictModel, first_problem
from eegfm.errors import TrainingError
from eegfm.files import write_atomically
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.result import PretrainResult
from eegfm.store.reader import SignalStore
from eegfm.training.config import PretrainParams

_JOB, _RESULT = "job.json", "result.json"
_TABLES = ("mixture", "splits")
_TOKENIZER = "tokenizer.safetensors"
_START, _ENCODER, _HISTORY, _ARRAYS = "start.safetensors", "encoder.safetensors", "history.parquet", "shown.safetensors"
_Model = TypeVar("_Model", bound=StrictModel)


@dataclass(frozen=True)
class RankJob:
    """A training, as each of its ranks gets it.

    Args:
        job: What is asked for; its devices are counted.
        runs: Folder of all runs.
        fingerprint: Name of the run, for comparison with the one that the rank finds.
    """

    job: TrainingJob
    runs: Path
    fingerprint: str


class _Description(StrictModel):
    """The job in a file."""

    format_version: Literal[1] = 1
    params: PretrainParams
    stores: dict[str, str]
    runs: str
    fingerprint: str
    phase: str
    files: dict[str, str]


class _Outcome(StrictModel):
    """The result in a file."""

    format_version: Literal[1] = 1
    metrics: dict[str, float]
    run_directory: str
    shown: dict[str, dict[str, Any]]
    files: dict[str, str]


def write_job(folder: Path, asked: RankJob) -> Path:
    """Write a job into a folder, and return the path of its description."""
    job = asked.job
    tables = {"mixture": job.mixture, "splits": job.splits}
    for name in _TABLES:
        tables[name].to_parquet(folder / f"{name}.parquet")
    names = [f"{name}.parquet" for name in _TABLES]
    for name, checkpoint in ((_START, job.start), (_TOKENIZER, job.tokenizer)):
        if checkpoint is not None:
            save_checkpoint(folder / name, checkpoint)
            names.append(name)
    description = _Description(
        params=job.params,
        stores={corpus: str(store.folder.resolve()) for corpus, store in job.stores.items()},
        runs=str(asked.runs.resolve()),
        fingerprint=asked.fingerprint,
        phase=job.phase,
        files=_sha256_of_files(folder, names),
    )
    write_atomically(folder / _JOB, description.model_dump_json().encode())
    return folder / _JOB


def read_job(path: Path) -> RankJob:
    """Read a job and check all of it again.

    Raises:
        TrainingError: A file is damaged, or does not fit this version.
    """
    said = _parsed(path, _Description)
    _check_files(path.parent, said.files)
    start, tokenizer = (
        load_checkpoint(path.parent / name) if name in said.files else None for name in (_START, _TOKENIZER)
    )
    mixture, splits = (pd.read_parquet(path.parent / f"{name}.parquet") for name in _TABLES)
    stores = {corpus: SignalStore(Path(folder)) for corpus, folder in said.stores.items()}
    job = TrainingJob(said.params, mixture, splits, stores, said.phase, start, tokenizer)
    return RankJob(job, Path(said.runs), said.fingerprint)


def write_result(folder: Path, result: PretrainResult) -> None:
    """Write a result into the folder of its job; its description comes last."""
    save_checkpoint(folder / _ENCODER, result.checkpoint)
    result.history.to_parquet(folder / _HISTORY)
    arrays, shown = _split_arrays(result.reconstructions)
    write_atomically(folder / _ARRAYS, save(arrays))
    outcome = {
        "format_version": 1,
        "metrics": result.metrics,
        "run_directory": str(result.run_directory),
        "shown": shown,
        "files": _sha256_of_files(folder, [_ENCODER, _HISTORY, _ARRAYS]),
    }
    write_atomically(folder / _RESULT, json.dumps(outcome).encode())


def has_result(folder: Path) -> bool:
    """Tell whether a result was written into a folder."""
    return (folder / _RESULT).is_file()


def read_result(folder: Path) -> PretrainResult:
    """Read the result of a job.

    Raises:
        TrainingError: A file is missing or damaged.
    """
    outcome = _parsed(folder / _RESULT, _Outcome)
    _check_files(folder, outcome.files)
    return PretrainResult(
        checkpoint=load_checkpoint(folder / _ENCODER),
        metrics=outcome.metrics,
        history=pd.read_parquet(folder / _HISTORY),
        reconstructions=_with_arrays(outcome.shown, load_file(folder / _ARRAYS)),
        run_directory=Path(outcome.run_directory),
    )


def _split_arrays(
    reconstructions: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, dict[str, Any]]]:
    """Take arrays out, by number, and leave the number of each in its place."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    plain: dict[str, dict[str, Any]] = {}
    for corpus, fields in reconstructions.items():
        plain[corpus] = {}
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                number = str(len(arrays))
                arrays[number] = np.ascontiguousarray(value)
                plain[corpus][name] = {"array": number}
            else:
                plain[corpus][name] = {"value": value}
    return arrays, plain


def _with_arrays(
    plain: Mapping[str, Mapping[str, Any]], arrays: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, dict[str, Any]]:
    return {
        corpus: {name: arrays[v["array"]] if "array" in v else v["value"] for name, v in fields.items()}
        for corpus, fields in plain.items()
    }


def _parsed(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise TrainingError(
            f"{path}: cannot be read: it is missing, damaged or of another version ({problem})"
        ) from error


def _sha256_of_files(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: _sha256(folder / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, sha256 in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != sha256:
            raise TrainingError(f"{folder / name}: missing or damaged")
