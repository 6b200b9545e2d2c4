"""The menu of encoders."""

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.encoders.config import EncoderConfig, PatchTransformerConfig


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValidationError, match="patch_transformer"):
        TypeAdapter(EncoderConfig).validate_python({"name": "lunna"})


def test_width_must_be_whole_heads() -> None:
    with pytest.raises(ValidationError, match=r"d_model 200 .* head_size 64; nearest: \[192, 256\]"):
        PatchTransformerConfig(d_model=200, head_size=64)
    with pytest.raises(ValidationError, match="odd"):
        PatchTransformerConfig(d_model=75, head_size=25)
