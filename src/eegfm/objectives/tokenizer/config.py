"""Configuration of the training of a tokenizer. No torch here."""

from typing import ClassVar, Literal

from eegfm.adapters.config import ChannelAdapterConfig
from eegfm.encoders.labram.tokenizer_config import LabramTokenizerConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.normalizations.config import NormalizationBase
from eegfm.objectives.base_config import ObjectiveConfig


class TokenizerConfig(ObjectiveConfig, LabramTokenizerConfig):
    """Give each patch one of K codes, and predict amplitude and phase of its spectrum from the codes of its window.

    The backbone's encoder is that of the tokenizer; codebook and decoder are the objective's own.
    """

    implementation: ClassVar[str] = "eegfm.objectives.tokenizer.model:Tokenizer"

    name: Literal["tokenizer"] = "tokenizer"

    def check_encoder(
        self,
        encoder: EncoderConfig,
        normalization: NormalizationBase | None = None,
        adapter: ChannelAdapterConfig | None = None,
        *,
        is_of_start: bool = False,
    ) -> None:
        """Refuse encoders other than LaBraM's; see the base class."""
        super().check_encoder(encoder, normalization, adapter, is_of_start=is_of_start)
        self.check_name(encoder.name, is_of_start=is_of_start)

    def check_name(self, encoder: str, *, is_of_start: bool = False) -> None:
        """Refuse an encoder by its name.

        Raises:
            ConfigError: It is not LaBraM's.
        """
        if encoder != "labram":
            remedy = "start from an encoder labram" if is_of_start else "choose encoder.name: labram"
            raise ConfigError(
                f"objective tokenizer trains the tokenizer of encoder labram, not of {encoder}; it has a pipeline of "
                f"its own: kedro run --pipelines=tokenizer, or {remedy}"
            )
