"""Parameters of the data jobs, of weights in and out, and of everything that one corpus needs."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import StrictModel
from eegfm.corpora.config import AcquireParams, CorpusConfig
from eegfm.encoders.config import EncoderConfig
from eegfm.encoders.configs.published import as_published
from eegfm.load_report import LoadExceptions
from eegfm.recording import BadChannels
from eegfm.signal.canonical import CanonicalChoice
from eegfm.signal.config import ReadParams
from eegfm.signal.electrodes import Layout
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

    def identity(self) -> dict[str, Any]:
        """What decides the result: everything but who converts, and what is bearable."""
        dump = self.model_dump(mode="json", exclude={"workers", "max_rejected_ratio"})
        return dump | {"reading": self.reading.model_dump(mode="json", exclude={"max_memory_bytes", "timeout_s"})}


class CorpusParams(StrictModel):
    """Everything about one corpus: the block that stands under its name in the parameters."""

    acquire: AcquireParams = AcquireParams()
    ingest: IngestParams
    window: WindowParams


class NamedElectrodes(StrictModel):
    """Electrodes in the order in which weights expect them.

    Attributes:
        electrodes: Their names.
        layout: Where they are.
    """

    electrodes: tuple[str, ...] = Field(min_length=1)
    layout: Layout = "1005"


class FilterFacts(StrictModel):
    """How signals were filtered that weights were trained on: a probe asks the same of its own."""

    low_hz: PositiveFloat
    high_hz: PositiveFloat
    notch_hz: PositiveFloat | None = None


class ImportParams(StrictModel):
    """What is known of published weights; the file itself says none of it.

    Attributes:
        encoder: Architecture that the file holds. Choices that are not named are those that the weights were published
            with, where these differ from the defaults of training.
        adapter: What brings other montages to that of the weights; one without weights of its own.
        montage: Channels that the weights expect, behind no adapter: a canonical montage, or electrodes in their order.
        reference: What windows are referenced to, see ``eegfm.training.config.PretrainParams``.
        bad_channels: What is done with bad channels, see there.
        rate_hz: Rate that they expect.
        window_s: Longest window that they expect.
        filters: Of the signals that they were trained on.
        corpora: What they were trained on, by the names that these corpora have here. Where the list is empty that is
            unknown, and no score of any corpus counts as one of new persons.
        licence: Of the weights; the one that they were published under if not given.
        note: Free text for the checkpoint's header.
        weights: What may differ between the file and the architecture.
        seed: Of weights that the file may lack.
    """

    encoder: EncoderConfig
    adapter: AdapterConfig = NoAdapterConfig()
    montage: CanonicalChoice | NamedElectrodes
    reference: Literal["average", "as_recorded", "tcp_bipolar"] = "average"
    bad_channels: BadChannels = "mask"
    rate_hz: PositiveFloat
    window_s: PositiveFloat
    filters: FilterFacts
    corpora: tuple[str, ...]
    licence: str | None = None
    note: str = ""
    weights: LoadExceptions = LoadExceptions()
    seed: NonNegativeInt = 0

    @field_validator("encoder", mode="before")
    @classmethod
    def _as_published(cls, encoder: Any) -> Any:
        return as_published(encoder)


ExportFormat = Literal["huggingface", "onnx", "torch_export"]


class ExportParams(StrictModel):
    """What an encoder is exported to.

    Attributes:
        formats: Files to write: ``huggingface`` (config.json, model.safetensors, README.md), ``onnx`` (encoder.onnx,
            extra ``export``), ``torch_export`` (encoder.pt2).
        montage: Name of the checkpoint's montage that recordings come in; needed where there are several.
        accept_other_code: Export an encoder that other code made than there is now.
    """

    formats: tuple[ExportFormat, ...] = Field(default=("huggingface", "onnx", "torch_export"), min_length=1)
    montage: str | None = None
    accept_other_code: bool = False


class ReportParams(StrictModel):
    """What the report says of itself."""

    title: str = "eegfm run"
