"""Details of the patch transformer that the contract does not cover."""

import math

import pytest
import torch

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import PatchTransformerConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.patch_transformer import Layer, PatchTransformer, rotary_angles, rotate
from eegfm.errors import ConfigError
from eegfm.recording import Montage

MONTAGE = Montage(
    tuple("abcd"),
    ((0.0, 0.09, 0.0), (0.09, 0.0, 0.0), (0.0, -0.09, 0.0), (-0.09, 0.0, 0.0)),
    (True,) * 4,
    "average",
)


def build(**choices: object) -> PatchTransformer:
    config = PatchTransformerConfig(d_model=32, head_size=16, **choices)
    encoder = new_encoder(config, SignalSpec(100.0, {"m": MONTAGE}, {"m": 300}), seed=0)
    assert isinstance(encoder, PatchTransformer)
    return encoder.eval()


def batch(signal: torch.Tensor) -> WindowBatch:
    return {
        "signal": signal,
        "channel_positions": torch.from_numpy(MONTAGE.positions()).expand(len(signal), -1, -1),
        "channel_mask": torch.ones(signal.shape[:2], dtype=torch.bool),
        "reference": "average",
        "recording": torch.zeros(len(signal), dtype=torch.int64),
        "corpus": "c",
        "montage": "m",
    }


def noise(*shape: int) -> torch.Tensor:
    return 20 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("with_time", [True, False])
def test_a_layer_equals_the_textbook(with_time: bool) -> None:
    """Attention written out head by head with complex rotations."""
    layer = build().layers[0]
    assert isinstance(layer, Layer)
    x = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0))
    q, k, v = layer.query_key_value(layer.attention_norm(x)).view(2, 5, 3, 2, 16).unbind(2)
    if with_time:
        rates = torch.tensor([10_000.0 ** (-i / 8) for i in range(8)])
        turns = torch.exp(1j * torch.arange(5).unsqueeze(-1) * rates).unsqueeze(1)

        def turn(y: torch.Tensor) -> torch.Tensor:
            turned = torch.complex(y[..., :8], y[..., 8:]) * turns
            return torch.cat((turned.real, turned.imag), dim=-1)

        q, k = turn(q), turn(k)
    heads = []
    for h in range(2):
        weights = (q[:, :, h] @ k[:, :, h].transpose(1, 2) / math.sqrt(16)).softmax(dim=-1)
        heads.append(weights @ v[:, :, h])
    y = x + layer.projection(torch.cat(heads, dim=-1))
    expected = y + layer.feed_forward(layer.feed_forward_norm(y))
    angles = rotary_angles(torch.arange(5), 16) if with_time else None
    torch.testing.assert_close(layer(x, angles), expected, atol=1e-5, rtol=1e-5)


def test_rotary_products_depend_on_distance_alone() -> None:
    q, k = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    cos, sin = rotary_angles(torch.arange(20), 16)

    def product(i: int, j: int) -> torch.Tensor:
        return rotate(q, (cos[i], sin[i])) @ rotate(k, (cos[j], sin[j]))

    torch.testing.assert_close(product(3, 7), product(12, 16), atol=1e-4, rtol=1e-4)
    assert abs(float((product(3, 7) - product(3, 8)).detach())) > 1e-3


def test_alternating_layers_take_turns() -> None:
    """The first layer spreads a change over the channels of its patch, the second over time."""
    signal = noise(1, 4, 300)
    changed = signal.clone()
    changed[0, 1, 100:200] += 30.0  # channel 1, patch 1
    reached = []
    for n_layers in (1, 2):
        encoder = build(n_layers=n_layers)
        difference = (encoder(batch(signal)) - encoder(batch(changed))).abs().amax(dim=-1).view(4, 3)
        reached.append(difference > 1e-6)
    assert reached[0].tolist() == [[False, True, False]] * 4
    assert reached[1].all()


def test_artefacts_are_clipped() -> None:
    encoder = build(signal_scale_uv=10.0, clip=2.0)
    signal = torch.full((1, 4, 300), 20.0)
    assert torch.equal(encoder(batch(signal)), encoder(batch(100 * signal)))
    assert not torch.equal(encoder(batch(signal)), encoder(batch(0.9 * signal)))


def test_microvolts_are_divided_by_the_scale() -> None:
    small, large = build(signal_scale_uv=10.0), build(signal_scale_uv=30.0)
    signal = noise(1, 4, 300)
    torch.testing.assert_close(small(batch(signal)), large(batch(3 * signal)), atol=1e-5, rtol=1e-5)


def test_the_spectrum_branch_changes_the_content() -> None:
    encoder = build(spectrum_input=True)
    assert encoder.spectrum_embedding is not None
    assert encoder.spectrum_embedding.in_features == 45
    content = encoder.tokenize(batch(noise(1, 4, 300))).content
    torch.nn.init.zeros_(encoder.spectrum_embedding.weight)
    assert not torch.equal(encoder.tokenize(batch(noise(1, 4, 300))).content, content)


def test_dropout_only_while_training() -> None:
    encoder = build(dropout_ratio=0.5)
    signal = batch(noise(1, 4, 300))
    assert torch.equal(encoder(signal), encoder(signal))
    encoder.train()
    assert not torch.equal(encoder(signal), encoder(signal))


def test_a_broken_patch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"patch_s 0\.333 is 33\.3 samples.*nearest: 0\.33"):
        build(patch_s=0.333)
