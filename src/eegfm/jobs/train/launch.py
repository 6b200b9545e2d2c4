"""Train in several processes: name the run here, start them, and take their result over."""

import tempfile
from pathlib import Path

import pandas as pd

from eegfm.checkpoint import Checkpoint
from eegfm.jobs.train.exchange import RankJob, read_result, write_job
from eegfm.jobs.train.prepare import Refuse, named_run
from eegfm.jobs.train.result import PretrainResult
from eegfm.ranks.start import Nodes, run_ranks
from eegfm.store.stores import Stores
from eegfm.training.config import PretrainParams
from eegfm.training.started import with_start
from eegfm.training.trainer import quieten

_WORKER = "eegfm.jobs.train.worker"
_ELSEWHERE = {"verify": "off", "residency": "disk"}
"""Options of a loader that reads no samples."""


def fit_on_ranks(
    mixture: pd.DataFrame,
    stores: Stores,
    params: PretrainParams,
    run_directory: Path,
    *,
    splits: pd.DataFrame,
    phase: str,
    start: Checkpoint | None,
    tokenizer: Checkpoint | None,
    refuse: Refuse,
) -> PretrainResult:
    """Pretrain in one process per device; the arguments are those of ``fit_pretraining``.

    This process reads no samples and builds no model: it finds what is wrong with the tables and the parameters before
    another process starts, and names the run.

    Raises:
        EegfmError: As in one process; a rank's own error is raised here.
    """
    assert params.devices != "auto"
    quieten()  # what Lightning logs in the ranks goes through the loggers of this process
    nodes = Nodes(params.devices, params.num_nodes, params.rendezvous, phase)
    params = with_start(params, start.header if start else None, phase)  # a job in a file says all that holds
    named = params.model_copy(update={"loader": params.loader.model_copy(update=_ELSEWHERE), "accelerator": "cpu"})
    fingerprint = named_run(
        named, mixture, splits, stores, refuse, phase=phase, start=start, tokenizer=tokenizer, world_size=nodes.n_ranks
    )
    # Other machines find the job only on a disk that they share.
    shared = run_directory if params.num_nodes > 1 else None
    if shared is not None:
        shared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".eegfm-ranks-", dir=shared) as folder:
        job = RankJob(params, mixture, splits, stores, run_directory, fingerprint, start, tokenizer, phase)
        run_ranks(_WORKER, write_job(Path(folder), job), nodes)
        return read_result(Path(folder))
