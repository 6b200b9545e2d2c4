"""Train in several processes: name the run here, start them, and take their result over."""

import tempfile
from dataclasses import replace
from pathlib import Path

from eegfm.jobs.train.exchange import RankJob, read_result, write_job
from eegfm.jobs.train.job import Refuse, TrainingJob, refuse_nothing
from eegfm.jobs.train.prepare import named_run
from eegfm.jobs.train.result import PretrainResult
from eegfm.ranks.ends import FOLDER_PREFIX
from eegfm.ranks.start import Nodes, run_ranks
from eegfm.training.started import with_start
from eegfm.training.trainer import quieten

_WORKER = "eegfm.jobs.train.worker"
_ELSEWHERE = {"verify": "off", "residency": "disk"}
"""Options of a loader that reads no samples."""


def fit_on_ranks(job: TrainingJob, runs: Path, refuse: Refuse) -> PretrainResult:
    """Pretrain in one process per device.

    This process reads no samples and builds no model: it finds what is wrong with the tables and the parameters before
    another process starts, and names the run.

    Args:
        job: What is asked for; its devices are counted.
        runs: Folder of all runs.
        refuse: Is called as soon as the run has its name, before another process starts.

    Raises:
        EegfmError: As in one process; a rank's own error is raised here.
    """
    quieten()  # what Lightning logs in the ranks goes through the loggers of this process
    # A job in a file says all that holds.
    job = replace(job, params=with_start(job.params, job.start.header if job.start else None, job.phase))
    params = job.params
    assert params.devices != "auto"
    nodes = Nodes(params.devices, params.num_nodes, params.rendezvous, job.phase)
    fingerprint = named_run(_without_samples(job), nodes.n_ranks, refuse)
    # Other machines find the job only on a disk that they share.
    shared = runs if params.num_nodes > 1 else None
    if shared is not None:
        shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=shared) as folder:
        run_ranks(_WORKER, write_job(Path(folder), RankJob(job, runs, fingerprint)), nodes)
        return read_result(Path(folder))


def run_name(job: TrainingJob) -> str:
    """Return the name of a run, on whatever devices it is trained; no sample is read, and no model is built.

    Raises:
        EegfmError: Tables and parameters do not fit.
    """
    return named_run(_without_samples(job), 1, refuse_nothing)


def _without_samples(job: TrainingJob) -> TrainingJob:
    """The same job, in a process that reads no samples and needs no device."""
    loader = job.params.loader.model_copy(update=_ELSEWHERE)
    return replace(job, params=job.params.model_copy(update={"loader": loader, "accelerator": "cpu"}))
