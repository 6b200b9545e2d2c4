"""Parameters of ingestion."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel
from eegfm.corpora.config import CorpusConfig
from eegfm.signal.config import ReadParams


class WorkerParams(StrictModel):
    """Who converts recordings.

    Attributes:
        backend: Processes of this machine (``loky``), or a Dask cluster (``dask``).
        n_workers: Number of processes; ``"auto"`` takes one per core, as far as there are files for them. 1 converts
            in the process that runs Kedro: nothing survives a file that kills it.
        address: Dask's scheduler (``tcp://host:8786``); without it a cluster of this machine is used.
    """

    backend: Literal["loky", "dask"] = "loky"
    n_workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    address: str | None = None

    @model_validator(mode="after")
    def _address_fits(self) -> Self:
        if self.address is not None and self.backend == "loky":
            raise ValueError(f"address={self.address!r}: backend 'loky' has none; set backend to dask")
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

    def identity(self) -> dict[str, Any]:
        """What decides the result: everything but who converts, and what is bearable."""
        dump = self.model_dump(mode="json", exclude={"workers", "max_rejected_ratio"})
        return dump | {"reading": self.reading.model_dump(mode="json", exclude={"max_memory_bytes", "timeout_s"})}
