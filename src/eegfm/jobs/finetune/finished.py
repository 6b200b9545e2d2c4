"""Keep of finished trainings what another finetuning needs of them, and find them again."""

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from eegfm.errors import TrainingError
from eegfm.jobs.train.exchange import has_result, read_result, write_result
from eegfm.jobs.train.header import license_of
from eegfm.jobs.train.job import TrainingJob
from eegfm.jobs.train.launch import run_name
from eegfm.jobs.train.pretrain import fit_training
from eegfm.jobs.train.result import PretrainResult
from eegfm.jobs.train.runs import CHECKPOINTS, prune
from eegfm.training.state.folder import StateFolder

logger = logging.getLogger(__name__)

RESULT = "result"
SAID = "said"
"""Folder beside the runs with what models said of test windows."""


def fit_once(job: TrainingJob, runs: Path) -> PretrainResult:
    """Do a training, or read its result, where it is finished.

    A finished run keeps its result: published weights, numbers and history. Its states, which hold the weights several
    times and those of the optimizer, are removed: nothing goes on from them.

    Args:
        job: What is asked for.
        runs: Folder of all runs.

    Raises:
        EegfmError: See ``eegfm.jobs.train.pretrain.fit_pretraining``.
    """
    directory = runs / run_name(job)
    if job.params.resume and has_result(directory / RESULT):
        try:
            found = read_result(directory / RESULT)
        except TrainingError as error:
            logger.warning("%s; run %s is trained again", error, directory.name)
        else:
            logger.info("Run %s is finished: its result is read", directory.name)
            _forget_states(directory)
            header = found.checkpoint.header.model_copy(update={"license": license_of(job)})  # it decides no weight
            return replace(found, checkpoint=replace(found.checkpoint, header=header), run_directory=directory)
    result = fit_training(job, runs)
    assert result.run_directory.name == directory.name, "a run has one name"
    (directory / RESULT).mkdir(exist_ok=True)
    write_result(directory / RESULT, result)
    _forget_states(directory)
    return result


def _forget_states(directory: Path) -> None:
    StateFolder(directory / CHECKPOINTS, 1).clear()


def remove_old(runs: Path, keep: int | None, own: Collection[str], own_said: Collection[str]) -> None:
    """Remove the folders of all finished runs but the latest ones, and likewise what models said of test windows.

    See ``eegfm.jobs.train.runs.prune``. An answer that is removed can be given again, and that is no new look.

    Args:
        runs: Folder of all runs.
        keep: Number of runs that are kept, and of files of answers; None for all.
        own: Names of the runs of this finetuning, which are kept in any case.
        own_said: Names of its files of answers, which are kept in any case.
    """
    if keep is None:
        return
    prune(runs, keep, own)
    written = {file: file.stat().st_mtime_ns for file in sorted((runs / SAID).glob("*.parquet"))}
    latest = sorted(written, key=lambda file: (file.stem in own_said, written[file]), reverse=True)
    for file in latest[keep:]:
        if file.stem not in own_said:
            file.unlink(missing_ok=True)  # first: without it the other file is not read
            file.with_suffix(".json").unlink(missing_ok=True)
            logger.info("keep_runs %d: what run %s said is removed", keep, file.stem)
