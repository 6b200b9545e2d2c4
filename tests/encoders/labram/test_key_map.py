"""LaBraM's published weights under the names here."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, gelu, group_norm, layer_norm, linear

from backbones import normalized
from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.encoders.config import LabramConfig, as_published
from eegfm.encoders.labram.key_map import TOKENIZER_KEY_MAP, key_map
from eegfm.encoders.labram.model import Labram
from eegfm.encoders.labram.places import ELECTRODES
from eegfm.encoders.labram.tokenizer import LabramTokenizer
from eegfm.encoders.labram.tokenizer_config import TOKENIZER_ENCODER, LabramTokenizerConfig
from eegfm.encoders.load import new_encoder
from eegfm.nn.weights import load_weights

Shapes = dict[str, tuple[int, ...]]
Arrays = dict[str, NDArray[np.float32]]
SPEC = spec_of([MONTAGES[19]], 4)
ENCODER = LabramConfig(channels="names")
OF_TOKENIZER = LabramConfig.model_validate({**TOKENIZER_ENCODER, "channels": "names", "n_layers": 2})


def layer_shapes(name: str, *, of_tokenizer: bool) -> Shapes:
    """Class Block of modeling_finetune.py, 200 wide with 10 heads."""
    shapes: Shapes = {f"{name}.attn.qkv.weight": (600, 200)}
    norms = {"norm1": 200, "norm2": 200} | ({} if of_tokenizer else {"attn.q_norm": 20, "attn.k_norm": 20})
    for norm, width in norms.items():
        shapes |= {f"{name}.{norm}.weight": (width,), f"{name}.{norm}.bias": (width,)}
    for part, d_out, d_in in (("attn.proj", 200, 200), ("mlp.fc1", 800, 200), ("mlp.fc2", 200, 800)):
        shapes |= {f"{name}.{part}.weight": (d_out, d_in), f"{name}.{part}.bias": (d_out,)}
    vectors = ("attn.q_bias", "attn.v_bias") if of_tokenizer else ("gamma_1", "gamma_2")
    return shapes | {f"{name}.{vector}": (200,) for vector in vectors}


def transformer_shapes(n_layers: int, last_norm: str, *, of_tokenizer: bool = False) -> Shapes:
    """Class NeuralTransformer without its patch embedding and head."""
    shapes: Shapes = {"cls_token": (1, 1, 200), "pos_embed": (1, 129, 200), "time_embed": (1, 16, 200)}
    for k in range(n_layers):
        shapes |= layer_shapes(f"blocks.{k}", of_tokenizer=of_tokenizer)
    return shapes | {f"{last_norm}.weight": (200,), f"{last_norm}.bias": (200,)}


def convolution_shapes() -> Shapes:
    """Class TemporalConv with 8 maps."""
    shapes: Shapes = {}
    for k, (n_in, width) in enumerate([(1, 15), (8, 3), (8, 3)], start=1):
        shapes |= {f"patch_embed.conv{k}.weight": (8, n_in, 1, width), f"patch_embed.conv{k}.bias": (8,)}
        shapes |= {f"patch_embed.norm{k}.weight": (8,), f"patch_embed.norm{k}.bias": (8,)}
    return shapes


def two_layer_shapes(name: str, n_values: int) -> Shapes:
    return {
        f"{name}.0.weight": (200, 200),
        f"{name}.0.bias": (200,),
        f"{name}.2.weight": (n_values, 200),
        f"{name}.2.bias": (n_values,),
    }


def pretrained_shapes(n_layers: int = 12) -> Shapes:
    """Class NeuralTransformerForMaskedEEGModeling of modeling_pretrain.py, the student."""
    own: Shapes = {"mask_token": (1, 1, 200), "lm_head.weight": (8192, 200), "lm_head.bias": (8192,)}
    return own | convolution_shapes() | transformer_shapes(n_layers, "norm")


def pretrained_file_shapes() -> Shapes:
    """Class NeuralTransformerForMEM of modeling_pretrain.py, as labram-base.pth holds it under ``model``."""
    head: Shapes = {"lm_head.weight": (8192, 200), "lm_head.bias": (8192,)}
    projection: Shapes = {"projection_head.0.weight": (200, 200), "projection_head.0.bias": (200,)}
    return {f"student.{name}": shape for name, shape in pretrained_shapes().items()} | head | projection


def finetuned_shapes(n_layers: int = 12) -> Shapes:
    head: Shapes = {"head.weight": (6, 200), "head.bias": (6,)}
    return convolution_shapes() | transformer_shapes(n_layers, "fc_norm") | head


def tokenizer_shapes(n_layers: int = 2) -> Shapes:
    """Class VQNSP of modeling_vqnsp.py with 8192 codes of 64, as vqnsp.pth holds it under ``model``."""
    encoder = convolution_shapes() | transformer_shapes(n_layers, "fc_norm", of_tokenizer=True)
    decoder = transformer_shapes(3, "fc_norm", of_tokenizer=True)
    decoder |= {"patch_embed.proj.weight": (200, 64, 1, 1), "patch_embed.proj.bias": (200,)}
    shapes = {f"encoder.{name}": shape for name, shape in encoder.items()}
    shapes |= {f"decoder.{name}": shape for name, shape in decoder.items()}
    for name, n_values in (("encode_task_layer", 64), ("decode_task_layer", 200), ("decode_task_layer_angle", 200)):
        shapes |= two_layer_shapes(name, n_values)
    codebook: Shapes = {"weight": (8192, 64), "cluster_size": (8192,), "embed_avg": (8192, 64), "initted": (1,)}
    return shapes | {f"quantize.embedding.{n}": s for n, s in codebook.items()} | {"quantize.cluster_size": (8192,)}


def generated(shapes: Shapes) -> Arrays:
    rng = np.random.default_rng(0)
    arrays = {name: (0.1 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}
    arrays |= {name: 1 + value for name, value in arrays.items() if "norm" in name and name.endswith("weight")}
    return arrays


def shapes_of(arrays: Mapping[str, NDArray[np.generic] | Tensor]) -> Shapes:
    return {name: tuple(value.shape) for name, value in arrays.items()}


@pytest.mark.parametrize("published", [pretrained_file_shapes(), finetuned_shapes()], ids=["pretrained", "finetuned"])
def test_every_published_name_is_accounted_for(published: Shapes) -> None:
    translated = key_map(ENCODER).translate(generated(published))
    with torch.device("meta"):
        own = ENCODER.build(SPEC)
    assert translated.unknown == []
    left_out = {name.removeprefix("student.").rsplit(".", 1)[0] for name in translated.left_out}
    assert left_out == ({"head"} if "head.bias" in published else {"mask_token", "lm_head", "projection_head.0"})
    assert shapes_of(translated.tensors) == shapes_of(own.state_dict())


def test_an_encoder_of_positions_leaves_the_table_of_names() -> None:
    translated = key_map(LabramConfig()).translate(generated(pretrained_shapes(1)))
    assert "pos_embed" in translated.left_out
    with torch.device("meta"):
        own = LabramConfig(n_layers=1).build(SPEC)
    missing = own.state_dict().keys() - translated.tensors.keys()
    assert missing
    assert all(name.startswith("places.electrode_embedding.") for name in missing)


def test_wrapped_names_are_unwrapped() -> None:
    """Of a student within a training module, where not all names share the student's prefix."""
    published = generated(pretrained_file_shapes())
    wrapped = {f"model.{name}": value for name, value in published.items()}
    translated = key_map(ENCODER).translate(wrapped)
    assert translated.unknown == []
    assert translated.tensors.keys() == key_map(ENCODER).translate(published).tensors.keys()


def test_unknown_names_are_told() -> None:
    published = generated(finetuned_shapes(1)) | {"blocks.0.attn.relative_position_index": np.zeros(3, np.float32)}
    assert key_map(ENCODER).translate(published).unknown == ["blocks.0.attn.relative_position_index"]


def published_forward(weights: Mapping[str, Tensor], patches: Tensor, channels: list[int], n_layers: int) -> Tensor:
    """All tokens, [CLS] first, as modeling_finetune.py computes them, from (B, C, P, S) in units of 100 uV."""
    B, C, P, S = patches.shape
    x = patches.reshape(B, 1, C * P, S)
    for k in (1, 2, 3):
        conv, norm = f"patch_embed.conv{k}", f"patch_embed.norm{k}"
        stride, padding = ((1, 8), (0, 7)) if k == 1 else ((1, 1), (0, 1))
        x = conv2d(x, weights[f"{conv}.weight"], weights[f"{conv}.bias"], stride, padding)
        x = gelu(group_norm(x, 4, weights[f"{norm}.weight"], weights[f"{norm}.bias"]))
    x = x.permute(0, 2, 3, 1).reshape(B, C * P, 200)
    place = weights["pos_embed"][0, [c + 1 for c in channels]][:, None] + weights["time_embed"][0, :P]
    first = weights["cls_token"][0, 0] + weights["pos_embed"][0, 0]
    x = torch.cat((first.expand(B, 1, 200), x + place.reshape(C * P, 200)), dim=1)

    def norm_of(y: Tensor, name: str) -> Tensor:
        return layer_norm(y, y.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    def map_of(y: Tensor, name: str) -> Tensor:
        return linear(y, weights[f"{name}.weight"], weights[f"{name}.bias"])

    for k in range(n_layers):
        name = f"blocks.{k}"
        qkv = norm_of(x, f"{name}.norm1") @ weights[f"{name}.attn.qkv.weight"].T
        q, k_, v = qkv.view(B, -1, 3, 10, 20).unbind(2)
        q, k_ = norm_of(q, f"{name}.attn.q_norm"), norm_of(k_, f"{name}.attn.k_norm")
        scores = torch.einsum("bihd,bjhd->bhij", q, k_) / math.sqrt(20)
        attended = torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v).flatten(2)
        x = x + weights[f"{name}.gamma_1"] * map_of(attended, f"{name}.attn.proj")
        hidden = gelu(map_of(norm_of(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
        x = x + weights[f"{name}.gamma_2"] * map_of(hidden, f"{name}.mlp.fc2")
    return norm_of(x, "fc_norm")


def test_loaded_weights_compute_what_the_published_model_computes() -> None:
    published = generated(finetuned_shapes(2))
    config = LabramConfig.model_validate(as_published({"name": "labram", "channels": "names", "n_layers": 2}))
    encoder = new_encoder(config, SPEC, 0).double().eval()
    assert isinstance(encoder, Labram)
    load_weights(encoder, key_map(encoder.config).translate(published).tensors, "", "encoder")
    batch = make_batch()
    signal_uv = batch["signal_uv"].double()
    weights = {name: torch.from_numpy(value).double() for name, value in published.items()}
    channels = [ELECTRODES.index(name.upper()) for name in MONTAGES[19].channel_names]
    with torch.no_grad():
        expected = published_forward(weights, signal_uv.view(2, 19, 4, 200) / 100, channels, 2)
        tokens = encoder.tokenize(normalized({**batch, "signal": signal_uv}, encoder))
        torch.testing.assert_close(encoder.encode(tokens), expected[:, 1:])
        torch.testing.assert_close(encoder._with_cls(tokens)[:, 0], expected[:, 0])


def test_the_tokenizer_loads_strictly_and_uses_the_loaded_codebook() -> None:
    published = generated(tokenizer_shapes())
    codebook = published["quantize.embedding.weight"]
    published["quantize.embedding.weight"] = codebook / np.linalg.norm(codebook, axis=1, keepdims=True)
    published["quantize.embedding.initted"][:] = 1.0
    translated = TOKENIZER_KEY_MAP.translate(published)
    assert translated.unknown == []
    assert translated.left_out == ["quantize.embedding.cluster_size", "quantize.embedding.embed_avg"]
    encoder = Labram(OF_TOKENIZER, SPEC).eval()
    tokenizer = LabramTokenizer(LabramTokenizerConfig(), encoder, SPEC).eval()
    load_weights(encoder, translated.tensors, "encoder.", "encoder")
    behind = {name: value for name, value in translated.tensors.items() if not name.startswith("encoder.")}
    load_weights(tokenizer, behind, "", "tokenizer")
    batch = make_batch()
    with torch.no_grad():
        encoded = encoder(batch)
    features = encoded.numpy().astype(np.float64)
    hidden = np.tanh(features @ published["encode_task_layer.0.weight"].T + published["encode_task_layer.0.bias"])
    vectors = hidden @ published["encode_task_layer.2.weight"].T + published["encode_task_layer.2.bias"]
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    cosines = vectors @ published["quantize.embedding.weight"].T.astype(np.float64)
    assert (tokenizer.codes(encoded).numpy() == cosines.argmax(-1)).mean() > 0.99
