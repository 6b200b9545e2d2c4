"""The menu of encoders."""

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.encoders.config import AnyEncoderConfig, PatchTransformerConfig


@pytest.mark.parametrize(("name", "known"), [("lunna", "patch_transformer"), ("shallow", "braindecode")])
def test_an_unknown_name_lists_the_known(name: str, known: str) -> None:
    with pytest.raises(ValidationError, match=known):
        TypeAdapter(AnyEncoderConfig).validate_python({"name": name})


def test_width_must_be_whole_heads() -> None:
    with pytest.raises(ValidationError, match=r"d_model 200 .* head_size 64; nearest: \[192, 256\]"):
        PatchTransformerConfig(d_model=200, head_size=64)
    with pytest.raises(ValidationError, match="odd"):
        PatchTransformerConfig(d_model=75, head_size=25)


@pytest.mark.parametrize(("size", "d_model", "n_layers"), [
    ("nano", 48, 4), ("tiny", 128, 4), ("small", 256, 8), ("base", 512, 12), ("large", 768, 24),
])  # fmt: skip
def test_sizes_name_width_and_depth(size: str, d_model: int, n_layers: int) -> None:
    config = PatchTransformerConfig(size=size)
    assert (config.size, config.d_model, config.n_layers) == (size, d_model, n_layers)
    assert config.head_size == (16 if size == "nano" else 64)
    wider = PatchTransformerConfig(size=size, d_model=64)
    assert (wider.d_model, wider.n_layers) == (64, n_layers)
    assert wider.size is None, "there is no such size"
    assert PatchTransformerConfig.model_validate(wider.model_dump(mode="json")) == wider


def test_the_default_is_tiny() -> None:
    assert PatchTransformerConfig() == PatchTransformerConfig(size="tiny")


def test_heads_are_halved_only_where_they_can_be() -> None:
    with pytest.raises(ValidationError, match=r"criss_cross.*makes 3, which is odd"):
        PatchTransformerConfig(d_model=192, attention="criss_cross")


def test_a_summary_needs_its_register() -> None:
    with pytest.raises(ValidationError, match="n_registers: 1 or more"):
        PatchTransformerConfig(summary="register")
