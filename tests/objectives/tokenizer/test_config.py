"""Which encoders have a tokenizer."""

import pytest

from eegfm.encoders.config import AnyEncoderConfig, ConvConfig, EegnetConfig, LabramConfig, PatchTransformerConfig
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import TokenizerConfig


def test_the_encoder_is_labrams() -> None:
    # Nothing is masked, so nothing leaks.
    TokenizerConfig().check_encoder(EncoderFacts.of(LabramConfig(patch_norm="window")))


@pytest.mark.parametrize("encoder", [PatchTransformerConfig(), ConvConfig(), EegnetConfig()], ids=lambda e: e.name)
def test_others_are_refused_with_what_helps(encoder: AnyEncoderConfig) -> None:
    with pytest.raises(ConfigError, match=r"choose (encoder\.name: labram|an encoder of tokens)"):
        TokenizerConfig().check_encoder(EncoderFacts.of(encoder))
    with pytest.raises(ConfigError, match="start from an encoder"):
        TokenizerConfig().check_encoder(EncoderFacts.of(encoder, is_of_start=True))
