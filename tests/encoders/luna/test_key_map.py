"""LUNA's published weights under the names here."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import conv1d, gelu

from backbones import normalized
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import LunaConfig, as_published
from eegfm.encoders.load import new_encoder
from eegfm.encoders.luna.key_map import KEY_MAP
from eegfm.encoders.luna.model import Luna
from eegfm.recording import Montage

Shapes = dict[str, tuple[int, ...]]
PLACES = ((0.0, 0.09, 0.01), (0.08, 0.0, 0.02), (0.0, -0.09, 0.03), (-0.07, 0.01, 0.04), (0.0, 0.0, 0.1))
MONTAGE = Montage(tuple("abcde"), PLACES, (True,) * 5, "average")
SPEC = SignalSpec(256.0, {"m": MONTAGE}, {"m": 320})


def linear(name: str, d_in: int, d_out: int) -> Shapes:
    return {f"{name}.weight": (d_out, d_in), f"{name}.bias": (d_out,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def attention(name: str, width: int) -> Shapes:
    """torch.nn.MultiheadAttention."""
    fused = {f"{name}.in_proj_weight": (3 * width, width), f"{name}.in_proj_bias": (3 * width,)}
    return {**fused, **linear(f"{name}.out_proj", width, width)}


def published_shapes(Q: int, E: int, depth: int) -> Shapes:
    """Names and shapes of BioFoundation's models/LUNA.py, built for pretraining with patches of 40 samples."""
    D, F = Q * E, E // 4
    shapes: Shapes = {"mask_token": (1, 1, E)}
    for k, (n_in, width) in enumerate([(1, 19), (F, 3), (F, 3)]):
        shapes |= {f"patch_embed.proj_in.{3 * k}.weight": (F, n_in, 1, width)}
        shapes |= {f"patch_embed.proj_in.{3 * k}.bias": (F,)}
        shapes |= norm(f"patch_embed.proj_in.{3 * k + 1}", F)
    shapes |= linear("freq_embed.frequency_to_embed.fc1", 42, 168)
    shapes |= linear("freq_embed.frequency_to_embed.fc2", 168, E)
    shapes |= linear("channel_location_embedder.0.fc1", E, 2 * E)
    shapes |= norm("channel_location_embedder.0.norm", 2 * E)
    shapes |= linear("channel_location_embedder.0.fc2", 2 * E, E)
    shapes |= {"cross_attn.query_embed": (1, Q, E), "cross_attn.temparature": ()}
    shapes |= attention("cross_attn.cross_attention", E)
    shapes |= linear("cross_attn.ffn.fc1", E, 4 * E) | norm("cross_attn.ffn.norm", 4 * E)
    shapes |= linear("cross_attn.ffn.fc2", 4 * E, E)
    for name in ("keys", "values", "queries"):
        shapes |= norm(f"cross_attn.{name}_norm", E)
    for k in range(3):
        layer = f"cross_attn.query_self_attn.layers.{k}"
        shapes |= attention(f"{layer}.self_attn", E) | norm(f"{layer}.norm1", E) | norm(f"{layer}.norm2", E)
        shapes |= linear(f"{layer}.linear1", E, 4 * E) | linear(f"{layer}.linear2", 4 * E, E)
    for k in range(depth):
        block = f"blocks.{k}"
        shapes |= norm(f"{block}.norm1", D) | norm(f"{block}.norm2", D)
        shapes |= {f"{block}.attn.rotary_emb.freqs": (E // 4,)}
        shapes |= linear(f"{block}.attn.qkv_proj", D, 3 * D) | linear(f"{block}.attn.proj", D, D)
        shapes |= linear(f"{block}.mlp.fc1", D, 4 * D) | norm(f"{block}.mlp.norm", 4 * D)
        shapes |= linear(f"{block}.mlp.fc2", 4 * D, D)
    return shapes | norm("norm", D)


def pretraining_shapes(E: int) -> Shapes:
    """What the published model has besides when it is built for pretraining."""
    layer = "decoder_head.decoder_pred.layers.0"
    shapes = {"channel_emb.embeddings.weight": (90, E)}
    shapes |= attention(f"{layer}.self_attn", E) | attention(f"{layer}.multihead_attn", E)
    shapes |= linear(f"{layer}.linear1", E, 4 * E) | linear(f"{layer}.linear2", 4 * E, E)
    shapes |= norm(f"{layer}.norm1", E) | norm(f"{layer}.norm2", E) | norm(f"{layer}.norm3", E)
    shapes |= norm("decoder_head.norm", E)
    return (
        shapes
        | linear("decoder_head.decoder_linear.fc1", E, 4 * E)
        | linear("decoder_head.decoder_linear.fc2", 4 * E, 40)
    )


def classifying_shapes(D: int) -> Shapes:
    """What it has besides when it is built for two classes."""
    shapes: Shapes = {"classifier.learned_agg": (1, 1, D)}
    shapes |= attention("classifier.decoder_attn", D)
    return shapes | linear("classifier.decoder_ffn.fc1", D, 4 * D) | linear("classifier.decoder_ffn.fc2", 4 * D, 2)


def drawn(shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in shapes.items():
        sd = 1 / math.sqrt(max(math.prod(shape[1:]), 1)) if len(shape) > 1 else 0.1
        is_gain = "norm" in name and name.endswith("weight")
        arrays[name] = (float(is_gain) + sd * rng.standard_normal(shape)).astype(np.float32)
    return arrays


def loaded(published: Mapping[str, NDArray[np.float32]], config: LunaConfig) -> Luna:
    encoder = new_encoder(config, SPEC, seed=0).eval()
    assert isinstance(encoder, Luna)
    tensors = KEY_MAP.translate(published).tensors
    encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}, strict=True)
    return encoder


BATCH: WindowBatch = {
    "signal": torch.zeros(2, 5, 320),
    "channel_positions": torch.zeros(2, 5, 3),
    "channel_mask": torch.ones(2, 5, dtype=torch.bool),
    "reference": "average",
    "recording": torch.zeros(2, dtype=torch.int64),
    "corpus": "c",
    "montage": "m",
}


class Published:
    """One window through the published architecture, layer by layer, with the published names."""

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]], n_queries: int, depth: int) -> None:
        self.w = {name: torch.from_numpy(np.array(value)).double() for name, value in arrays.items()}
        self.n_queries, self.depth = n_queries, depth

    def linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def mlp(self, x: torch.Tensor, name: str) -> torch.Tensor:
        hidden = gelu(self.linear(x, f"{name}.fc1"))
        return self.linear(
            self.norm(hidden, f"{name}.norm") if f"{name}.norm.weight" in self.w else hidden, f"{name}.fc2"
        )

    def attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, n_heads: int) -> torch.Tensor:
        heads = zip(q.chunk(n_heads, -1), k.chunk(n_heads, -1), v.chunk(n_heads, -1), strict=True)
        return torch.cat([(a @ b.T / math.sqrt(a.shape[-1])).softmax(-1) @ c for a, b, c in heads], dim=-1)

    def fused_attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, name: str) -> torch.Tensor:
        weights = self.w[f"{name}.in_proj_weight"].chunk(3)
        biases = self.w[f"{name}.in_proj_bias"].chunk(3)
        q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
        return self.linear(self.attention(q, k, v, 2), f"{name}.out_proj")

    def waveform(self, patches: torch.Tensor) -> torch.Tensor:
        """(N, 40) to (N, E); groups are normalized over the whole window."""
        x = patches[:, None]
        for k, (stride, padding) in enumerate([(10, 9), (1, 1), (1, 1)]):
            weight = self.w[f"patch_embed.proj_in.{3 * k}.weight"][:, :, 0]
            x = conv1d(x, weight, self.w[f"patch_embed.proj_in.{3 * k}.bias"], stride, padding)
            groups = x.view(len(x), 4, -1)
            mean, var = groups.mean((0, 2), keepdim=True), groups.var((0, 2), correction=0, keepdim=True)
            name = f"patch_embed.proj_in.{3 * k + 1}"
            gain, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
            x = gelu(((groups - mean) / (var + 1e-5).sqrt()).view(x.shape) * gain[:, None] + bias[:, None])
        return x.transpose(1, 2).flatten(1)

    def place(self, positions: torch.Tensor) -> torch.Tensor:
        low, high = positions.min(0).values, positions.max(0).values
        scaled = (positions - low) / (high - low + 1e-8)
        E = self.w["mask_token"].shape[-1]
        columns = [
            f(2.0**k * scaled[:, axis]) for k in range(E // 6) for axis in range(3) for f in (torch.sin, torch.cos)
        ]
        columns += [torch.zeros(len(positions)).double()] * (E - len(columns))
        return self.mlp(torch.stack(columns, dim=1), "channel_location_embedder.0")

    def rotated(self, x: torch.Tensor, n_heads: int) -> torch.Tensor:
        """Pairs (2k, 2k + 1) of each head as complex numbers, turned by time."""
        pairs = torch.view_as_complex(x.reshape(len(x), n_heads, -1, 2).contiguous())
        rates = 10_000.0 ** (-torch.arange(pairs.shape[-1]).double() / pairs.shape[-1])
        turns = torch.exp(1j * torch.arange(len(x)).double()[:, None] * rates)
        return torch.view_as_real(pairs * turns[:, None]).reshape(x.shape)

    def __call__(self, signal_uv: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        signal = (signal_uv - signal_uv.mean(-1, keepdim=True)) / (signal_uv.std(-1, keepdim=True) + 1e-8)
        C, P = len(signal), signal.shape[1] // 40
        patches = signal.view(C * P, 40)
        spectrum = torch.fft.rfft(patches)
        features = torch.cat((spectrum.abs(), spectrum.angle()), dim=-1)
        content = self.waveform(patches) + self.mlp(features, "freq_embed.frequency_to_embed")
        tokens = content.view(C, P, -1) + self.place(positions)[:, None]
        x = torch.stack([self.gathered(tokens[:, p]).flatten() for p in range(P)])
        for k in range(self.depth):
            x = self.block(x, f"blocks.{k}")
        return self.norm(x, "norm")

    def gathered(self, channels: torch.Tensor) -> torch.Tensor:
        queries = self.norm(self.w["cross_attn.query_embed"][0], "cross_attn.queries_norm")
        keys, values = (self.norm(channels, f"cross_attn.{name}_norm") for name in ("keys", "values"))
        x = self.fused_attention(queries, keys, values, "cross_attn.cross_attention")
        x = x + self.mlp(x, "cross_attn.ffn")
        for k in range(3):
            layer = f"cross_attn.query_self_attn.layers.{k}"
            normed = self.norm(x, f"{layer}.norm1")
            x = x + self.fused_attention(normed, normed, normed, f"{layer}.self_attn")
            x = x + self.linear(
                gelu(self.linear(self.norm(x, f"{layer}.norm2"), f"{layer}.linear1")), f"{layer}.linear2"
            )
        return x

    def block(self, x: torch.Tensor, name: str) -> torch.Tensor:
        n_heads = 2 * self.n_queries
        q, k, v = self.linear(self.norm(x, f"{name}.norm1"), f"{name}.attn.qkv_proj").chunk(3, dim=-1)
        attended = self.attention(self.rotated(q, n_heads), self.rotated(k, n_heads), v, n_heads)
        x = x + self.linear(attended, f"{name}.attn.proj")
        return x + self.mlp(self.norm(x, f"{name}.norm2"), f"{name}.mlp")


@pytest.mark.parametrize("wrapper", ["", "model."])
@pytest.mark.parametrize("head", [pretraining_shapes(64), classifying_shapes(256)], ids=["pretraining", "classes"])
def test_the_published_base_model_is_translated_whole(wrapper: str, head: Shapes) -> None:
    shapes = published_shapes(4, 64, 8)
    published = {wrapper + name: np.zeros(shape, np.float32) for name, shape in (shapes | head).items()}
    translated = KEY_MAP.translate(published)
    with torch.device("meta"):
        own = LunaConfig().build(SPEC).state_dict()
    assert {name: value.shape for name, value in translated.tensors.items()} == {k: v.shape for k, v in own.items()}
    assert translated.unknown == []
    constants = {"mask_token", "cross_attn.temparature", *(f"blocks.{k}.attn.rotary_emb.freqs" for k in range(8))}
    assert set(translated.left_out) == {wrapper + name for name in constants | head.keys()}


def test_what_nobody_published_is_unknown() -> None:
    for name in ("blocks.0.attn.gate", "cross_attn.query_embed.weight", "pos_embed", "normal.weight"):
        assert KEY_MAP.translate({name: np.zeros(1)}).unknown == [name]


@pytest.mark.parametrize("sizes", [(4, 64, 8), (6, 96, 10), (8, 128, 24)], ids=["base", "large", "huge"])
def test_with_its_classifier_the_published_model_has_as_many_weights_as_the_paper_says(
    sizes: tuple[int, int, int],
) -> None:
    """7.1, 43.1 and 311.8 million count the head of two classes, and nothing that is only for pretraining."""
    n_queries, width, depth = sizes
    shapes = published_shapes(*sizes) | classifying_shapes(n_queries * width)
    constants = 1 + width + depth * width // 4
    n = sum(math.prod(shape) for shape in shapes.values()) - constants
    assert f"{n / 1e6:.1f}" == {4: "7.1", 6: "43.1", 8: "311.8"}[n_queries]


def test_the_loaded_model_computes_what_the_published_one_does() -> None:
    """All of it again, from the published names, in float64 and in the words of the publication."""
    Q, E, depth = 2, 32, 2
    published = drawn(published_shapes(Q, E, depth) | pretraining_shapes(E))
    config = LunaConfig.model_validate(as_published({"name": "luna", "n_queries": Q, "d_token": E, "n_layers": depth}))
    encoder = loaded({f"model.{k}": v for k, v in published.items()}, config)
    generator = torch.Generator().manual_seed(1)
    signal_uv = 20 * torch.randn(2, 5, 320, generator=generator).cumsum(dim=-1)
    positions = torch.tensor(PLACES) + 0.01 * torch.randn(2, 5, 3, generator=generator)
    with torch.no_grad():
        windows = {**BATCH, "signal": signal_uv, "channel_positions": positions}
        found = encoder(normalized(windows, encoder, LunaConfig.published_normalization))
    for b in range(2):
        expected = Published(published, Q, depth)(signal_uv[b].double(), positions[b].double())
        torch.testing.assert_close(found[b].double(), expected, atol=2e-5, rtol=1e-4)
