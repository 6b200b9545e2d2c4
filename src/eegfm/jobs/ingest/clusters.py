"""Running tasks on a Dask or Ray cluster. Both start a task again elsewhere when its worker dies."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib

from eegfm.errors import EegfmError
from eegfm.jobs.ingest.config import WorkerParams
from eegfm.jobs.ingest.processes import deaf_to_ctrl_c

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

RAY_RETRIES = 3
"""As many as Dask allows by default."""


def on_cluster(
    run: Callable[[_Task], _Result], plan: Sequence[_Task], params: WorkerParams, n_ahead: int
) -> Iterator[_Result]:
    """Run tasks on the cluster that the parameters name, or on one of this machine.

    Args:
        run: What is done with each task.
        plan: The tasks.
        params: Backend and address.
        n_ahead: Tasks per worker that may be done before their turn comes.

    Yields:
        One result per task in the order of the plan.

    Raises:
        EegfmError: The cluster cannot be reached or has no workers, or its package is not installed.
    """
    on_backend = _on_dask if params.backend == "dask" else _on_ray
    try:
        yield from on_backend(run, plan, params, n_ahead)
    except ImportError as error:
        raise EegfmError(
            f"ingest.workers.backend {params.backend!r} needs a package that is not installed ({error.name}); "
            f"install it with: pip install 'eegfm[{params.backend}]'"
        ) from error


def _on_dask(
    run: Callable[[_Task], _Result], plan: Sequence[_Task], params: WorkerParams, n_ahead: int
) -> Iterator[_Result]:
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
    from distributed import Client

    options: dict[str, Any] = {"address": params.address}
    if not params.address:
        # One thread a process: a watchdog that ends a process ends nobody else's work.
        options = {"n_workers": None if params.n_workers == "auto" else params.n_workers, "threads_per_worker": 1}
    try:
        with deaf_to_ctrl_c():
            client: Any = Client(**options)  # type: ignore[no-untyped-call]
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


def _on_ray(
    run: Callable[[_Task], _Result], plan: Sequence[_Task], params: WorkerParams, n_ahead: int
) -> Iterator[_Result]:
    """Ray's own tasks: joblib's backend for Ray waits for all results and gives up when a worker dies."""
    import ray

    n_local = None if params.n_workers == "auto" or params.address else params.n_workers
    try:
        ray.init(address=params.address, num_cpus=n_local, include_dashboard=False, log_to_driver=False)
    except ConnectionError as error:
        raise EegfmError(
            f"ingest.workers.address: no Ray cluster answers at {params.address}; start one with: ray start --head"
        ) from error
    try:
        n_workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        remote = ray.remote(max_retries=RAY_RETRIES)(run)
        running: deque[Any] = deque()
        for task in plan:
            running.append(remote.remote(task))
            if len(running) >= n_ahead * n_workers:
                yield ray.get(running.popleft())
        while running:
            yield ray.get(running.popleft())
    finally:
        ray.shutdown()
