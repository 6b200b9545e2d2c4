"""Parameters of the data jobs, and of everything that one corpus needs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel
from eegfm.corpora.config import AcquireParams, CorpusConfig
from eegfm.signal.config import ReadParams
from eegfm.windows.config import WindowParams


class WorkerParams(StrictModel):
    """Who converts recordings.

    Attributes:
        backend: Processes of this machine (``loky``), or a cluster through Dask or Ray.
        n_workers: Number of processes; ``"auto"`` takes one per core, as far as there are files for them. 1 converts
            in the process that runs Kedro: nothing survives a file that kills it.
        address: Dask's scheduler (``tcp://host:8786``) or Ray's head; without it a cluster of this machine is used.
    """

    backend: Literal["loky", "dask", "ray"] = "loky"
    n_workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    address: str | None = None

    @model_validator(mode="after")
    def _address_fits(self) -> Self:
        if self.address is not None and self.backend == "loky":
            raise ValueError(f"address={self.address!r}: backend 'loky' has none; set backend to dask or ray")
        return self


class IngestParams(StrictModel):
    """How raw files become the signal store.

    Attributes:
        corpus: How the folder is laid out.
        reading: What is known of its files, and what is forgiven.
        rates_hz: Rates that its recordings may have; any where the list is empty. A wrong record duration in a header
            can be noticed by no other means.
        workers: Who converts.
        max_rejected_ratio: The run ends with an error when more than this share of the files is rejected.
    """

    corpus: CorpusConfig
    reading: ReadParams = ReadParams()
    rates_hz: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    workers: WorkerParams = WorkerParams()
    max_rejected_ratio: float = Field(default=0.2, ge=0, le=1)


class CorpusParams(StrictModel):
    """Everything about one corpus: the block that stands under its name in the parameters."""

    acquire: AcquireParams = AcquireParams()
    ingest: IngestParams
    window: WindowParams


class ReportParams(StrictModel):
    """What the report says of itself."""

    title: str = "eegfm run"
