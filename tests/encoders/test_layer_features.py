"""Features of a layer are those of an encoder that ends there."""

import copy

import pytest
import torch
from torch import nn

from contracts.encoder_cases import CASES, Subject, make_batch
from eegfm.encoders.layer_features import layer_features

TRUNCATED = (
    "patch_transformer-criss_cross",
    "patch_transformer-registers",
    "patch_transformer-full",
    "conv",
    "cbramod",
)


@pytest.mark.parametrize("name", TRUNCATED)
@torch.no_grad()
def test_a_layer_is_what_an_encoder_without_the_later_ones_and_its_norm_gives(name: str) -> None:
    encoder = Subject.of(CASES[name]).encoder()
    found = layer_features(encoder, make_batch())
    for k in range(len(found) - 1):
        short = copy.deepcopy(encoder)
        short.layers = nn.ModuleList(list(encoder.layers)[: k + 1])
        short.final_norm = nn.Identity()
        expected = short.features(make_batch())
        assert torch.equal(found[k].values, expected.values)
        assert torch.equal(found[k].mask, expected.mask)
    assert not torch.allclose(found[0].values, found[-1].values)


def test_what_follows_an_error_is_the_encoder_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Subject.of(CASES["cbramod"]).encoder()
    with torch.no_grad():
        before = encoder.features(make_batch()).values
        whole, runs = encoder.encode_with_features, []

        def breaks_in_the_second_run(*args: object) -> object:
            runs.append(1)
            if len(runs) == 2:
                raise RuntimeError("stopped")
            return whole(*args)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(encoder, "encode_with_features", breaks_in_the_second_run)
            with pytest.raises(RuntimeError, match="stopped"):
                layer_features(encoder, make_batch())
        assert torch.equal(encoder.features(make_batch()).values, before)
        assert all("forward" not in vars(module) and not module._forward_hooks for module in encoder.modules())
