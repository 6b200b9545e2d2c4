"""Run tasks on a Dask cluster. Dask starts a task again elsewhere if its worker dies."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib

from eegfm.errors import EegfmError
from eegfm.jobs.ingest.config import WorkerParams
from eegfm.jobs.ingest.processes import deaf_to_ctrl_c

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def on_cluster(
    run: Callable[[_Task], _Result], plan: Sequence[_Task], params: WorkerParams, n_ahead: int
) -> Iterator[_Result]:
    """Run tasks on the Dask cluster that the parameters name, or on one of this machine.

    Args:
        run: What is done with each task.
        plan: The tasks.
        params: The scheduler's address, or the number of workers on this machine.
        n_ahead: Tasks per worker that may be done before their turn comes.

    Yields:
        One result per task in the order of the plan.

    Raises:
        EegfmError: The cluster cannot be reached or has no workers, or its package is not installed.
    """
    with _dask_client(params) as client, joblib.parallel_config(backend="dask"):
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        n_workers = len(workers)
        if not n_workers:
            raise EegfmError(
                f"the Dask scheduler at {params.address} has no workers; start some with: "
                f"dask worker {params.address} --nthreads 1"
            )
        if any(worker["nthreads"] != 1 for worker in workers):
            raise EegfmError(
                f"the Dask workers at {params.address} have several threads, of which one that hangs would hide behind "
                f"the others; start them with: dask worker {params.address} --nworkers auto --nthreads 1"
            )
        pool = joblib.Parallel(n_jobs=n_workers, return_as="generator", pre_dispatch=n_ahead * n_workers, batch_size=1)
        yield from pool(joblib.delayed(run)(task) for task in plan)


@contextlib.contextmanager
def _dask_client(params: WorkerParams) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise EegfmError(
            f"ingest.workers.backend 'dask' needs a package that is not installed ({error.name}); "
            "install it with: pip install 'eegfm[dask]'"
        ) from error
    options: dict[str, Any] = {"address": params.address}
    if not params.address:
        # One thread a process: a watchdog that ends a process ends nobody else's work.
        options = {"n_workers": None if params.n_workers == "auto" else params.n_workers, "threads_per_worker": 1}
    try:
        with deaf_to_ctrl_c():
            client: Any = Client(**options)  # type: ignore[no-untyped-call]  # distributed has no types
    except OSError as error:
        raise EegfmError(
            f"ingest.workers.address: no Dask scheduler answers at {params.address}; start one with: dask scheduler"
        ) from error
    except ValueError as error:
        raise EegfmError(
            f"ingest.workers.address: {params.address!r} is no address ({error}); expected tcp://host:8786"
        ) from error
    with client:
        yield client
