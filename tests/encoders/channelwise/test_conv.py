"""Details of the convolutional encoder that the contract does not cover; what it shares with the recurrent one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.encoders.channelwise.conv import DilatedConvolution
from eegfm.encoders.channelwise.layers import Channelwise, ChannelwiseLayer
from eegfm.encoders.config import ConvConfig, GruConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.tokens import Tokens

SPEC = spec_of([MONTAGES[19]], 6)
SMALL = {"d_model": 16, "n_layers": 2}
BOTH = [ConvConfig(**SMALL), GruConfig(**SMALL)]
both = pytest.mark.parametrize("config", BOTH, ids=lambda config: config.name)


def build(config: ConvConfig | GruConfig) -> Channelwise:
    encoder = new_encoder(config, SPEC, seed=0)
    assert isinstance(encoder, Channelwise)
    return encoder.eval()


def reached(encoder: Channelwise, row: int, patch: int) -> np.ndarray:
    """(C, P) bool: which outputs a change of one patch reaches."""
    batch = make_batch(19, 6, n_windows=1)
    other = batch["signal"].clone()
    other[0, row, patch * 200 : (patch + 1) * 200] += 30.0
    difference = (encoder(batch) - encoder({**batch, "signal": other})).abs().amax(dim=-1)
    return (difference.view(19, 6) > 1e-6).numpy()


def test_dilations_double_and_start_again() -> None:
    layers = build(ConvConfig(d_model=16, n_layers=6)).layers
    assert [layer.mixer.convolution.dilation for layer in layers] == [(1,), (2,), (4,), (8,), (1,), (2,)]


def test_a_convolution_equals_its_sums() -> None:
    torch.manual_seed(0)
    mixer = DilatedConvolution(d_model=4, kernel_size=3, dilation=2)
    x = torch.randn(2, 7, 4)
    weight, bias = mixer.convolution.weight.double(), mixer.convolution.bias.double()
    expected = torch.zeros(2, 7, 4, dtype=torch.float64)
    for p in range(7):
        expected[:, p] = bias
        for tap in range(3):
            source = p + 2 * (tap - 1)
            if 0 <= source < 7:
                expected[:, p] += x[:, source].double() @ weight[:, :, tap].T
    expected = torch.nn.functional.gelu(expected) @ mixer.projection.weight.double().T + mixer.projection.bias.double()
    torch.testing.assert_close(mixer(x).double(), expected, atol=1e-5, rtol=1e-5)


def test_one_layer_sees_its_neighbours_in_time_and_all_channels_of_them() -> None:
    found = reached(build(ConvConfig(d_model=16, n_layers=1)), row=3, patch=2)
    assert found.tolist() == [[False, True, True, True, False, False]] * 19


def test_the_exchange_equals_its_definition() -> None:
    """Every token adds the projected mean over the channels of its patch, as far as its own gate opens."""
    torch.manual_seed(0)
    layer = ChannelwiseLayer(8, torch.nn.Identity(), dropout_ratio=0.0)
    x = torch.randn(2, 3, 4, 8)
    masked = torch.zeros(2, 3, 4, 1, dtype=torch.bool)
    masked[0, 1], masked[1, :, 2] = True, True  # a channel; a patch of all channels
    seen = layer.time_norm(x).masked_fill(masked, 0.0)
    mixed = x + seen
    y = layer.channel_norm(mixed)
    expected = mixed.clone()
    for b in range(2):
        for p in range(4):
            rows = [c for c in range(3) if not masked[b, c, p]]
            mean = torch.stack([y[b, c, p] for c in rows]).mean(dim=0) if rows else torch.zeros(8)
            for c in range(3):
                expected[b, c, p] += torch.sigmoid(layer.gate(y[b, c, p])) * layer.exchange(mean)
    torch.testing.assert_close(layer(x, masked), expected, atol=1e-5, rtol=1e-5)


@both
def test_an_absent_token_is_not_seen(config: ConvConfig | GruConfig) -> None:
    """Not even by the tokens of its own channel."""
    encoder = build(config)
    tokens = encoder.tokenize(make_batch(19, 6))
    mask = torch.rand(2, 19 * 6, generator=torch.Generator().manual_seed(0)) > 0.3
    content = torch.where(mask.unsqueeze(-1), tokens.content, 100.0)
    masking = replace(tokens, key_mask=mask)
    assert torch.equal(encoder.encode(masking)[mask], encoder.encode(masking.with_content(content))[mask])
    assert not torch.equal(encoder.encode(masking)[mask], encoder.encode(tokens)[mask])


@both
def test_padding_that_is_not_finite_stays_where_it_is(config: ConvConfig | GruConfig) -> None:
    encoder, batch = build(config), make_batch(19, 6)
    batch["channel_mask"] = torch.ones(2, 19, dtype=torch.bool)
    batch["channel_mask"][:, 4] = False
    batch["signal"][:, 4] = torch.nan
    found = encoder(batch).view(2, 19, -1)
    assert found.isnan().any(dim=-1)[0].nonzero().flatten().tolist() == [4]


@both
def test_a_derivation_is_the_difference_of_two_places(config: ConvConfig | GruConfig) -> None:
    encoder, batch = build(config), make_batch(19, 6)
    first, second = batch["channel_positions"], batch["channel_positions"].roll(1, dims=1)
    middle = (first + second) / 2

    def tokens(second_m: torch.Tensor) -> Tokens:
        return encoder.tokenize({**batch, "channel_positions": middle, "second_positions": second_m})

    there, back = tokens(second), tokens(first)
    torch.testing.assert_close(there.position, -back.position, atol=1e-5, rtol=1e-5)
    assert (there.position - encoder.tokenize(batch).position).abs().max() > 1e-2
    assert torch.isfinite(encoder.encode(there)).all()


@both
def test_dropout_only_while_training(config: ConvConfig | GruConfig) -> None:
    encoder, batch = build(config.model_copy(update={"dropout_ratio": 0.5})), make_batch(19, 6)
    assert torch.equal(encoder(batch), encoder(batch))
    encoder.train()
    assert not torch.equal(encoder(batch), encoder(batch))


def test_a_kernel_has_a_middle() -> None:
    with pytest.raises(ValidationError, match="kernel_size 4 is even"):
        ConvConfig(kernel_size=4)
