"""FEMBA's published weights under the names here."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from backbones import normalized
from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.config import FembaConfig
from eegfm.encoders.femba.key_map import KEY_MAP
from eegfm.encoders.femba.model import Femba
from eegfm.encoders.load import new_encoder
from eegfm.recording import Montage

Arrays = dict[str, NDArray[np.float32]]
CHANNELS, E, LAYERS, P, STATE, EXPAND = 6, 5, 2, 12, 16, 4
D = CHANNELS // 2 * E
INNER, RANK = EXPAND * D, math.ceil(D / 16)


def mamba_shapes(prefix: str, d_model: int = D, expand: int = EXPAND) -> dict[str, tuple[int, ...]]:
    """mamba_ssm/modules/mamba_simple.py, class Mamba, with its defaults."""
    inner, rank = expand * d_model, math.ceil(d_model / 16)
    return {
        f"{prefix}.A_log": (inner, 16),
        f"{prefix}.D": (inner,),
        f"{prefix}.in_proj.weight": (2 * inner, d_model),
        f"{prefix}.conv1d.weight": (inner, 1, 4),
        f"{prefix}.conv1d.bias": (inner,),
        f"{prefix}.x_proj.weight": (rank + 32, inner),
        f"{prefix}.dt_proj.weight": (inner, rank),
        f"{prefix}.dt_proj.bias": (inner,),
        f"{prefix}.out_proj.weight": (d_model, inner),
    }


def published(head: str) -> Arrays:
    """BioFoundation's models/FEMBA.py, class FEMBA: names and shapes, random values."""
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, P, D),
        "patch_embed.proj.weight": (E, 1, 2, 16),
        "patch_embed.proj.bias": (E,),
    }
    for k in range(LAYERS):
        shapes |= mamba_shapes(f"mamba_blocks.{k}.mamba_fwd") | mamba_shapes(f"mamba_blocks.{k}.mamba_rev")
        shapes |= {f"norm_layers.{k}.weight": (D,), f"norm_layers.{k}.bias": (D,)}
    if head == "decoder":
        shapes |= {"decoder.dec_conv.weight": (1, 1, 31, 31)}
        shapes |= {"decoder.conv_transpose.weight": (E, 1, 2, 16), "decoder.conv_transpose.bias": (1,)}
    else:
        shapes |= {"classifier.fc1.weight": (256, D), "classifier.fc1.bias": (256,)}
        shapes |= mamba_shapes("classifier.mamba_1", 256, 2)
        shapes |= {"classifier.fc3.weight": (2, 256), "classifier.fc3.bias": (2,)}
    rng = np.random.default_rng(0)
    arrays = {name: (0.2 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}
    for name in [name for name in arrays if name.endswith("A_log")]:
        arrays[name] += np.log(np.arange(1, 17, dtype=np.float32))
    return arrays


def build() -> Femba:
    montage = Montage(tuple("abcdef"), ((0.0, 0.0, 0.09),) * CHANNELS, (True,) * CHANNELS, "as_recorded")
    config = FembaConfig(d_token=E, n_layers=LAYERS)
    encoder = new_encoder(config, SignalSpec(256.0, {"m": montage}, {"m": 16 * P}), seed=0)
    assert isinstance(encoder, Femba)
    return encoder.eval()


def test_every_published_name_has_its_place() -> None:
    wanted = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    for head, wrapper in (("decoder", ""), ("classifier", ""), ("classifier", "model.")):
        file = {wrapper + name: value for name, value in published(head).items()}
        translated = KEY_MAP.translate(file)
        assert {name: value.shape for name, value in translated.tensors.items()} == wanted
        assert translated.unknown == []
        assert translated.left_out == sorted(name for name in file if name.startswith(wrapper + head))


def test_unknown_names_are_not_swallowed() -> None:
    odd = {"mamba_blocks.0.mamba_fwd.B_log": np.zeros(1), "mamba_blocks.0.mamba_up.D": np.zeros(1), "xD": np.zeros(1)}
    assert KEY_MAP.translate({**published("decoder"), **odd}).unknown == sorted(odd)


def silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / (1 + np.exp(-x))


def mamba_loop(weights: Arrays, prefix: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """mamba_ssm's Mamba on (P, D), one step at a time, in float64."""
    w = {name.removeprefix(prefix): value.astype(np.float64) for name, value in weights.items()}
    u, z = np.split(x @ w["in_proj.weight"].T, 2, axis=1)
    past = np.concatenate((np.zeros((3, INNER)), u))
    state, outputs = np.zeros((INNER, STATE)), []
    for t in range(len(x)):
        v = silu((past[t : t + 4].T * w["conv1d.weight"][:, 0]).sum(axis=1) + w["conv1d.bias"])
        dt, B, C = np.split(w["x_proj.weight"] @ v, [RANK, RANK + STATE])
        delta = np.log1p(np.exp(w["dt_proj.weight"] @ dt + w["dt_proj.bias"]))[:, None]
        state = np.exp(-np.exp(w["A_log"]) * delta) * state + delta * v[:, None] * B
        outputs.append((state @ C + w["D"] * v) * silu(z[t]))
    return np.stack(outputs) @ w["out_proj.weight"].T


def published_forward(weights: Arrays, signal_uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """BioFoundation's FEMBA on one window (C, T), with loops."""
    scaled = (signal_uv + 20.0) / 40.0
    kernel, bias = weights["patch_embed.proj.weight"][:, 0].astype(np.float64), weights["patch_embed.proj.bias"]
    x = np.empty((P, D))
    for e in range(E):
        for row in range(CHANNELS // 2):
            for p in range(P):
                patch = scaled[2 * row : 2 * row + 2, 16 * p : 16 * p + 16]
                x[p, e * (CHANNELS // 2) + row] = (patch * kernel[e]).sum() + bias[e]
    x = x + weights["pos_embed"][0]
    for k in range(LAYERS):
        forward = mamba_loop(weights, f"mamba_blocks.{k}.mamba_fwd.", x)
        backward = mamba_loop(weights, f"mamba_blocks.{k}.mamba_rev.", x[::-1])[::-1]
        x = x + forward + backward
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = x * weights[f"norm_layers.{k}.weight"] + weights[f"norm_layers.{k}.bias"]
    return x


def test_loaded_weights_compute_what_they_were_published_for() -> None:
    weights = published("decoder")
    encoder = build()
    translated = KEY_MAP.translate(weights).tensors
    encoder.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in translated.items()})
    signal = 20 * torch.randn(2, CHANNELS, 16 * P, generator=torch.Generator().manual_seed(0))
    batch: WindowBatch = {
        "signal": signal,
        "channel_positions": torch.zeros(2, CHANNELS, 3),
        "channel_mask": torch.ones(2, CHANNELS, dtype=torch.bool),
        "reference": "as_recorded",
        "recording": torch.zeros(2, dtype=torch.int64),
        "corpus": "tuh",
        "montage": "m",
    }
    found = encoder(normalized(batch, encoder)).detach().double().numpy()
    expected = np.stack([published_forward(weights, window) for window in signal.double().numpy()])
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-4)
