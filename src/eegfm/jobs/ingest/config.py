"""Parameters of ingestion."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from eegfm.config import StrictModel
from eegfm.corpora.config import CorpusConfig
from eegfm.signal.config import ReadParams
from eegfm.signal.montages.electrodes import is_electrode


class WorkerParams(StrictModel):
    """Workers that convert recordings.

    Attributes:
        backend: Processes of this machine (``loky``), or a Dask cluster (``dask``).
        n_workers: Number of processes; ``"auto"`` takes one per core, but not more than there are files. 1 converts in
            the process that runs Kedro, so a file that kills the process ends the run.
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
    """Conversion of raw files into the signal store.

    Attributes:
        corpus: Layout of the folder.
        reading: Units and accepted faults of the files.
        rates_hz: Rates that the recordings may have; any rate if empty. Nothing else reveals a wrong record duration in
            a header.
        workers: Workers that convert.
        max_rejected_ratio: The run ends with an error if more than this share of the files is rejected.
        drop_missing: Let stored recordings drop out although the raw folder is another one, or lacks more than half of
            their files. Otherwise the run ends with an error, and nothing drops out.
        accept_upsampled: Take a ``signal.rate_hz`` above the rates of all recordings, for an encoder that needs it.
            Otherwise the run ends with an error after ingestion.
    """

    corpus: CorpusConfig
    reading: ReadParams = ReadParams()
    rates_hz: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    workers: WorkerParams = WorkerParams()
    max_rejected_ratio: float = Field(default=0.2, ge=0, le=1)
    drop_missing: bool = False
    accept_upsampled: bool = False

    @model_validator(mode="after")
    def _renames_are_electrodes(self) -> Self:
        layout = getattr(self.corpus, "layout", self.corpus.usual_layout)
        for label, name in self.reading.renames.items():
            if name is not None and not is_electrode(name, layout):
                raise ValueError(
                    f"reading.renames: {label!r} becomes {name!r}, which is no electrode of layout {layout!r}; "
                    "name one, or null to leave the channel out"
                )
        return self

    def identity(self) -> dict[str, Any]:
        """Options that decide the result: all except the workers and those that only end a run."""
        dump = self.model_dump(
            mode="json", exclude={"workers", "max_rejected_ratio", "drop_missing", "accept_upsampled"}
        )
        return dump | {"reading": self.reading.model_dump(mode="json", exclude={"max_memory_bytes", "timeout_s"})}
