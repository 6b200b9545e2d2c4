"""Configuration of the training of a tokenizer. No torch here."""

from typing import ClassVar, Literal

from eegfm.encoders.labram.tokenizer_config import LabramTokenizerConfig
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts, ObjectiveConfig


class TokenizerConfig(ObjectiveConfig, LabramTokenizerConfig):
    """Give each patch one of K codes, and predict amplitude and phase of its spectrum from the codes of its window.

    The backbone's encoder is that of the tokenizer; codebook and decoder are the objective's own.
    """

    implementation: ClassVar[str] = "eegfm.objectives.tokenizer.model:Tokenizer"

    name: Literal["tokenizer"] = "tokenizer"

    def check_encoder(self, facts: EncoderFacts) -> None:
        """Refuse encoders other than LaBraM's; see the base class."""
        super().check_encoder(facts)
        if facts.name != "labram":
            remedy = "start from an encoder labram" if facts.is_of_start else "choose encoder.name: labram"
            raise ConfigError(
                f"objective tokenizer trains the tokenizer of encoder labram, not of {facts.name}; it has a pipeline "
                f"of its own: kedro run --pipelines=tokenizer, or {remedy}"
            )
