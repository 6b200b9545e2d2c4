"""Which encoders have a tokenizer."""

import pytest

from eegfm.encoders.config import AnyEncoderConfig, ConvConfig, EegnetConfig, LabramConfig, PatchTransformerConfig
from eegfm.errors import ConfigError
from eegfm.objectives.config import TokenizerConfig


def test_the_encoder_is_labrams() -> None:
    TokenizerConfig().check_encoder(LabramConfig(patch_norm="window"))  # nothing is masked, so nothing leaks


@pytest.mark.parametrize("encoder", [PatchTransformerConfig(), ConvConfig(), EegnetConfig()], ids=lambda e: e.name)
def test_others_are_refused_with_what_helps(encoder: AnyEncoderConfig) -> None:
    with pytest.raises(ConfigError, match=r"choose (encoder\.name: labram|an encoder of tokens)"):
        TokenizerConfig().check_encoder(encoder)
    with pytest.raises(ConfigError, match="start from an encoder"):
        TokenizerConfig().check_encoder(encoder, is_of_start=True)
