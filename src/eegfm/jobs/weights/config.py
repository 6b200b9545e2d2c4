"""Parameters of the import and export of weights."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import StrictModel
from eegfm.encoders.config import AnyEncoderConfig, as_published
from eegfm.nn.load_report import LoadExceptions
from eegfm.recording import BadChannels
from eegfm.signal.montages.canonical import CanonicalChoice
from eegfm.signal.montages.electrodes import Layout


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
        license: Of the weights; the one that they were published under if not given.
        note: Free text for the checkpoint's header.
        weights: What may differ between the file and the architecture.
        seed: Of weights that the file may lack.
    """

    encoder: AnyEncoderConfig
    adapter: AdapterConfig = NoAdapterConfig()
    montage: CanonicalChoice | NamedElectrodes
    reference: Literal["average", "as_recorded", "tcp_bipolar"] = "average"
    bad_channels: BadChannels = "mask"
    rate_hz: PositiveFloat
    window_s: PositiveFloat
    filters: FilterFacts
    corpora: tuple[str, ...]
    license: str | None = None
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
