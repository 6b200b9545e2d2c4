"""Parameters of the import and export of weights."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, field_validator, model_validator

from eegfm.adapters.config import AdapterConfig, NoAdapterConfig
from eegfm.config import Amount, StrictModel
from eegfm.encoders.config import AnyEncoderConfig, as_published
from eegfm.nn.load_report import LoadExceptions
from eegfm.normalizations.config import NormalizationBase, NormalizationConfig
from eegfm.normalizations.said import described
from eegfm.recording import BadChannels
from eegfm.signal.montages.canonical import CanonicalChoice
from eegfm.signal.montages.layouts import Layout


class NamedElectrodes(StrictModel):
    """Electrodes in the order in which weights expect them.

    Attributes:
        electrodes: Names of the electrodes.
        layout: Layout that gives their positions.
    """

    electrodes: tuple[str, ...] = Field(min_length=1)
    layout: Layout = "1005"


class FilterFacts(StrictModel):
    """Filters of the signals that weights were trained on. A probe requires the same filters."""

    low_hz: PositiveFloat
    high_hz: PositiveFloat
    notch_hz: PositiveFloat | None = None


class ImportParams(StrictModel):
    """Facts about published weights that the file does not contain.

    Attributes:
        encoder: Architecture of the file. Options that are not given have the values that the weights were published
            with, if these differ from the defaults of training.
        adapter: Adapter from other montages to that of the weights; it must have no weights itself.
        normalization: Normalization that the weights expect. If not given, the one of their publication.
        montage: Channels that the weights expect without an adapter: a canonical montage, or electrodes in their order.
        reference: Reference of the windows, see ``eegfm.training.config.PretrainParams``.
        bad_channels: Treatment of bad channels, see ``eegfm.training.config.PretrainParams``.
        rate_hz: Rate that the weights expect.
        window_s: Longest window that the weights expect.
        filters: Filters of the signals that the weights were trained on.
        corpora: Training corpora of the weights, by their names in this project. If empty, they are unknown, and no
            score of any corpus counts as a score of new persons.
        license: License of the weights; by default the license of their publication.
        note: Free text for the checkpoint's header.
        weights: Allowed differences between the file and the architecture.
        seed: Seed of weights that the file may lack.
        overwrite: Replace a stored encoder that other parameters or another file made. Otherwise it is refused.
    """

    encoder: AnyEncoderConfig
    adapter: AdapterConfig = NoAdapterConfig()
    normalization: NormalizationConfig | None = None
    montage: CanonicalChoice | NamedElectrodes
    reference: Literal["average", "as_recorded", "tcp_bipolar"] = "average"
    bad_channels: BadChannels = "mask"
    rate_hz: Amount
    window_s: Amount
    filters: FilterFacts
    corpora: tuple[str, ...]
    license: str | None = None
    note: str = ""
    weights: LoadExceptions = LoadExceptions()
    seed: NonNegativeInt = 0
    overwrite: bool = False

    def identity(self) -> dict[str, Any]:
        """Options that decide the result: all except the permission to replace an encoder."""
        chosen = {"normalization": self.chosen_normalization.model_dump(mode="json")}
        return self.model_dump(mode="json", exclude={"overwrite"}) | chosen

    @property
    def published_normalization(self) -> NormalizationBase:
        """The normalization that weights of this encoder were published with."""
        return self.encoder.published_normalization or self.encoder.default_normalization

    @property
    def chosen_normalization(self) -> NormalizationBase:
        """The normalization that is configured, or the one that the weights were published with."""
        return self.normalization or self.published_normalization

    @model_validator(mode="after")
    def _as_published(self) -> "ImportParams":
        published, chosen = self.published_normalization, self.chosen_normalization
        if chosen.name != published.name:
            raise ValueError(
                f"normalization is {described(chosen)}, but the published weights of {self.encoder.name} were trained "
                f"with {described(published)}; leave normalization out"
            )
        return self

    @field_validator("encoder", mode="before")
    @classmethod
    def _encoder_as_published(cls, encoder: Any) -> Any:
        return as_published(encoder)


ExportFormat = Literal["huggingface", "onnx", "torch_export"]


class ExportParams(StrictModel):
    """Formats and montage of an export.

    Attributes:
        formats: Files to write: ``huggingface`` (config.json, model.safetensors, README.md), ``torch_export``
            (encoder.pt2), ``onnx`` (encoder.onnx, extra ``export``). The default needs no extra.
        montage: Montage of the input, by its name in the checkpoint; needed if there are several.
        task: Task whose finetuned encoder the pipeline ``finetune_export`` takes, such as ``hbn.eyes``; needed if
            several are stored. A name such as ``hbn.eyes@fold_1`` is that of another fold or seed than the first.
            Exports of phases do not read it.
        accept_other_code: Export an encoder that was made by other code than the present code.
    """

    formats: tuple[ExportFormat, ...] = Field(default=("huggingface", "torch_export"), min_length=1)
    montage: str | None = None
    task: str | None = None
    accept_other_code: bool = False
