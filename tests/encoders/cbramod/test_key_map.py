"""CBraMod's published weights under the names here."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import (
    conv2d,
    gelu,
    group_norm,
    layer_norm,
    linear,
    multi_head_attention_forward,
)

from backbones import normalized
from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.encoders.cbramod.key_map import key_map
from eegfm.encoders.config import CbramodConfig, as_published
from eegfm.encoders.load import new_encoder
from eegfm.nn.weights import load_weights

Shapes = dict[str, tuple[int, ...]]
SPEC = spec_of([MONTAGES[19]], 4)


def both(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def published_shapes(n_layers: int = 12) -> Shapes:
    """Classes CBraMod and TransformerEncoderLayer of the publication, as pretrained_weights.pth holds them."""
    shapes: Shapes = {"patch_embedding.mask_encoding": (200,)}
    shapes |= both("patch_embedding.positional_encoding.0", 200, 1, 19, 7)
    for k, (n_in, width) in enumerate([(1, 49), (25, 3), (25, 3)]):
        shapes |= both(f"patch_embedding.proj_in.{3 * k}", 25, n_in, 1, width)
        shapes |= both(f"patch_embedding.proj_in.{3 * k + 1}", 25)
    shapes |= both("patch_embedding.spectral_proj.0", 200, 101)
    for k in range(n_layers):
        layer = f"encoder.layers.{k}"
        for attention in ("self_attn_s", "self_attn_t"):
            shapes |= {f"{layer}.{attention}.in_proj_weight": (300, 100), f"{layer}.{attention}.in_proj_bias": (300,)}
            shapes |= both(f"{layer}.{attention}.out_proj", 100, 100)
        shapes |= both(f"{layer}.linear1", 800, 200) | both(f"{layer}.linear2", 200, 800)
        shapes |= both(f"{layer}.norm1", 200) | both(f"{layer}.norm2", 200)
    return shapes | both("proj_out.0", 200, 200)


def generated(shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return {name: (0.1 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


def test_every_published_name_is_accounted_for() -> None:
    translated = key_map(CbramodConfig()).translate(generated(published_shapes()))
    with torch.device("meta"):
        own = CbramodConfig().build(SPEC)
    assert translated.unknown == []
    assert translated.left_out == ["patch_embedding.mask_encoding", "proj_out.0.bias", "proj_out.0.weight"]
    found = {name: value.shape for name, value in translated.tensors.items()}
    assert found == {name: tuple(value.shape) for name, value in own.state_dict().items()}


def test_unknown_names_are_told() -> None:
    published = generated(published_shapes(1)) | {"encoder.norm.weight": np.zeros(200, np.float32)}
    assert key_map(CbramodConfig()).translate(published).unknown == ["encoder.norm.weight"]


def published_forward(weights: Mapping[str, Tensor], patches: Tensor, n_layers: int) -> Tensor:
    """(B, C, P, 200) as the publication computes it before ``proj_out``, from (B, C, P, S) in units of 100 uV."""
    B, C, P, S = patches.shape
    x, embedding = patches.reshape(B, 1, C * P, S), "patch_embedding"
    for k in range(3):
        conv, norm = f"{embedding}.proj_in.{3 * k}", f"{embedding}.proj_in.{3 * k + 1}"
        stride, padding = ((1, 25), (0, 24)) if k == 0 else ((1, 1), (0, 1))
        x = conv2d(x, weights[f"{conv}.weight"], weights[f"{conv}.bias"], stride, padding)
        x = gelu(group_norm(x, 5, weights[f"{norm}.weight"], weights[f"{norm}.bias"]))
    x = x.permute(0, 2, 1, 3).reshape(B, C, P, 200)
    magnitudes = torch.fft.rfft(patches, dim=-1, norm="forward").abs()

    def map_of(y: Tensor, name: str) -> Tensor:
        return linear(y, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm_of(y: Tensor, name: str) -> Tensor:
        return layer_norm(y, (200,), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def attention(y: Tensor, name: str) -> Tensor:
        """(L, batch, 100) by torch's own attention."""
        out: Tensor = multi_head_attention_forward(
            y, y, y, 100, 4, weights[f"{name}.in_proj_weight"], weights[f"{name}.in_proj_bias"], None, None, False, 0.0,
            weights[f"{name}.out_proj.weight"], weights[f"{name}.out_proj.bias"], training=False, need_weights=False,
        )[0]  # fmt: skip
        return out

    x = x + map_of(magnitudes, f"{embedding}.spectral_proj.0")
    conv = f"{embedding}.positional_encoding.0"
    position = conv2d(
        x.permute(0, 3, 1, 2), weights[f"{conv}.weight"], weights[f"{conv}.bias"], padding=(9, 3), groups=200
    )
    x = x + position.permute(0, 2, 3, 1)
    for k in range(n_layers):
        layer = f"encoder.layers.{k}"
        y = norm_of(x, f"{layer}.norm1")
        across = attention(y[..., :100].permute(1, 0, 2, 3).reshape(C, B * P, 100), f"{layer}.self_attn_s")
        along = attention(y[..., 100:].permute(2, 0, 1, 3).reshape(P, B * C, 100), f"{layer}.self_attn_t")
        across, along = across.view(C, B, P, 100).transpose(0, 1), along.view(P, B, C, 100).permute(1, 2, 0, 3)
        x = x + torch.cat((across, along), dim=-1)
        x = x + map_of(gelu(map_of(norm_of(x, f"{layer}.norm2"), f"{layer}.linear1")), f"{layer}.linear2")
    return x


def test_loaded_weights_compute_what_the_published_model_computes() -> None:
    published = generated(published_shapes(2))
    config = CbramodConfig.model_validate(as_published({"name": "cbramod", "n_layers": 2}))
    encoder = new_encoder(config, SPEC, 0).double().eval()
    load_weights(encoder, key_map(config).translate(published).tensors, "", "encoder")
    batch = make_batch()
    signal_uv = batch["signal_uv"].double()
    weights = {name: torch.from_numpy(value).double() for name, value in published.items()}
    with torch.no_grad():
        expected = published_forward(weights, signal_uv.view(2, 19, 4, 200) / 100, 2)
        found = encoder(normalized({**batch, "signal": signal_uv}, encoder)).view(expected.shape)
    # The matrix of the spectrum is of float32.
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
