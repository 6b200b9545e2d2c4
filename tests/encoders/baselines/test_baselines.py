"""Details of the supervised baselines that the contract does not cover: sizes, and what each computes, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from contracts.encoder_cases import MONTAGES, make_batch, spec_of
from eegfm.batch import SignalSpec
from eegfm.encoders.baselines.base import SpatialFilters, Timeline
from eegfm.encoders.config import EegnetConfig, EegnexConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.encoders.window_encoder import WindowEncoder
from eegfm.errors import ConfigError
from eegfm.recording import Montage

Array = np.ndarray
BASELINES = [EegnetConfig(), EegnexConfig()]
baselines = pytest.mark.parametrize("config", BASELINES, ids=lambda config: config.name)


def build(config: EncoderConfig, rate_hz: float, n_samples: int, n_channels: int = 3) -> WindowEncoder:
    names = tuple(f"c{k}" for k in range(n_channels))
    montage = Montage(names, ((0.0, 0.0, 0.09),) * n_channels, (True,) * n_channels, "average")
    encoder = new_encoder(config, SignalSpec(rate_hz, {"m": montage}, {"m": n_samples}), seed=0)
    assert isinstance(encoder, WindowEncoder)
    return encoder


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("config", "n_expected"),
    [
        (EegnetConfig(design_rate_hz=250), 8 * 64 + 16 * 22 + 16 * 16 + 16 * 16 + 2 * (8 + 16 + 16)),
        (
            EegnexConfig(design_rate_hz=250),
            8 * 64 + 32 * 8 * 64 + 64 * 22 + 32 * 64 * 16 + 8 * 32 * 16 + 2 * (8 + 32 + 64 + 32 + 8),
        ),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_published_sizes(config: EncoderConfig, n_expected: int) -> None:
    """Of BCI competition IV 2a (22 channels at 250 Hz), as braindecode 1.8.1 counts them without the last layer."""
    counted = {"eegnet": 1456, "eegnex": 55_456}
    with torch.device("meta"):
        found = n_parameters(build(config, 250.0, 1000, n_channels=22))
    assert found == n_expected == counted[config.name]


@pytest.mark.parametrize(
    ("config", "rate_hz", "lengths"),
    [
        (EegnetConfig(), 128.0, [64, 4, 16, 8]),
        (EegnetConfig(), 200.0, [100, 6, 17, 8]),
        (EegnetConfig(), 256.0, [128, 8, 16, 8]),
        (EegnexConfig(), 200.0, [100, 100, 6, 17, 17, 8]),
        (EegnexConfig(design_rate_hz=200), 200.0, [64, 64, 4, 16, 16, 8]),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_lengths_follow_the_rate(config: EncoderConfig, rate_hz: float, lengths: list[int]) -> None:
    with torch.device("meta"):
        found = lengths_in(build(config, rate_hz, 4 * round(rate_hz)))
    assert found == lengths


def lengths_in(encoder: nn.Module) -> list[int]:
    """Kernels longer than one sample, and poolings, in the order of the layers."""
    found = []
    for module in encoder.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d) and module.kernel_size[-1] > 1:
            found.append(module.kernel_size[-1])
        elif isinstance(module, nn.AvgPool1d):
            size = module.kernel_size
            found.append(size[0] if isinstance(size, tuple) else size)
    return found


@settings(deadline=None)
@given(rate_hz=st.sampled_from([100.0, 128.0, 200.0, 256.0, 500.0]), n_pools=st.integers(1, 5), pool=st.integers(1, 8))
def test_rounding_does_not_add_up(rate_hz: float, n_pools: int, pool: int) -> None:
    """Behind several poolings a signal is no further from the published rate than the last whole factor brings it."""
    time, factors = Timeline(rate_hz, 250.0), []
    for _ in range(n_pools):
        factors.append(time.pool(pool))
    target_hz, before_hz = 250.0 / pool**n_pools, rate_hz / np.prod(factors[:-1])
    exact = before_hz / target_hz
    assert abs(factors[-1] - max(exact, 1)) <= 0.5


@baselines
def test_the_shortest_window(config: EncoderConfig) -> None:
    with pytest.raises(ConfigError, match=r"at least .* s \(\d+ samples at 200 Hz\).*cuts\.\*\.length_s") as caught:
        build(config, 200.0, 1)
    assert "\n" not in str(caught.value)
    shortest = int(str(caught.value).partition(" samples at")[0].rpartition("(")[2])
    assert shortest == 6 * 8
    with pytest.raises(ConfigError, match=f"{shortest} samples"):
        build(config, 200.0, shortest - 1)
    encoder = build(config, 200.0, shortest).eval()
    assert encoder.window_features(torch.zeros(2, 3, shortest)).shape == (2, encoder.d_model)


@baselines
def test_features_are_the_publication_s(config: EncoderConfig) -> None:
    """Each network written out in NumPy."""
    small = {"eegnet": {"kernel_samples": 6}, "eegnex": {"kernel_samples": 5, "n_filters": 4}}.get(config.name, {})
    config = type(config)(**small)
    n_samples = 140
    encoder = draw_weights(build(config, config.design_rate_hz, n_samples)).double().eval()
    signal = torch.randn(2, 3, n_samples, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = WRITTEN_OUT[config.name](encoder, signal.numpy())
    with torch.no_grad():
        found = encoder.window_features(signal).numpy()
    np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-5, rtol=1e-5)


def draw_weights(encoder: WindowEncoder) -> WindowEncoder:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        for norm in encoder.modules():
            if isinstance(norm, _BatchNorm):
                norm.running_mean.normal_(0, 0.3, generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
    return encoder


def weights(encoder: nn.Module, *kinds: type[nn.Module]) -> list[Array]:
    found = [m.weight for m in encoder.modules() if isinstance(m, kinds)]
    return [weight.detach().double().numpy() for weight in found]


def norms(encoder: nn.Module, eps: float) -> list[tuple[Array, Array]]:
    """Scale and shift of each batch norm, its running statistics folded in."""
    found = []
    for norm in encoder.modules():
        if isinstance(norm, _BatchNorm):
            values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
            weight, bias, mean, variance = (value.detach().double().numpy() for value in values)
            scale = weight / np.sqrt(variance + eps)
            found.append((scale, bias - mean * scale))
    return found


def normed(x: Array, norm: tuple[Array, Array]) -> Array:
    """(B, F, ...) scaled and shifted map by map."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return x * norm[0].reshape(shape) + norm[1].reshape(shape)


def convolved(x: Array, weight: Array, dilation: int = 1, *, same: bool = False) -> Array:
    """(B, I, T) with weights (O, I, K); behind a signal that keeps its length there is the longer half of the zeros."""
    reach = dilation * (weight.shape[-1] - 1)
    if same:
        x = np.pad(x, ((0, 0), (0, 0), (reach // 2, reach - reach // 2)))
    taps = sliding_window_view(x, reach + 1, axis=-1)[..., ::dilation]
    return np.einsum("bitk,oik->bot", taps, weight)


def pooled(x: Array, length: int) -> Array:
    stretches: Array = sliding_window_view(x, length, axis=-1)[..., ::length, :]
    return stretches.mean(axis=-1)


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def per_channel(x: Array, weight: Array) -> Array:
    """(B, I, C, T) with temporal weights (O, I, 1, K): (B, O, C, T)."""
    return np.stack([convolved(x[:, :, c], weight[:, :, 0], same=True) for c in range(x.shape[2])], axis=2)


def spatial(x: Array, encoder: nn.Module) -> Array:
    """(B, F, C, T) to (B, F * S, T) by filters of norm 1 at most."""
    weight = weights(encoder, SpatialFilters)[0][:, 0]
    weight = weight / np.maximum(np.linalg.norm(weight, axis=1, keepdims=True), 1.0)
    n_each = len(weight) // x.shape[1]
    return np.stack([np.einsum("c,bct->bt", w, x[:, k // n_each]) for k, w in enumerate(weight)], axis=1)


def eegnet(encoder: nn.Module, signal: Array) -> Array:
    norm = norms(encoder, eps=1e-3)
    temporal, depthwise, pointwise = weights(encoder, nn.Conv1d, nn.Conv2d)
    x = normed(per_channel(signal[:, None], temporal), norm[0])
    x = pooled(elu(normed(spatial(x, encoder), norm[1])), 4)
    x = np.concatenate([convolved(x[:, k : k + 1], w[None], same=True) for k, w in enumerate(depthwise)], axis=1)
    return pooled(elu(normed(convolved(x, pointwise), norm[2])), 8)


def eegnex(encoder: nn.Module, signal: Array) -> Array:
    norm = norms(encoder, eps=1e-3)
    first, second, third, fourth = weights(encoder, nn.Conv1d, nn.Conv2d)
    x = normed(per_channel(signal[:, None], first), norm[0])
    x = normed(per_channel(x, second), norm[1])
    x = pooled(elu(normed(spatial(x, encoder), norm[2])), 4)
    x = normed(convolved(x, third, dilation=2, same=True), norm[3])
    return pooled(elu(normed(convolved(x, fourth, dilation=4, same=True), norm[4])), 8)


WRITTEN_OUT = {"eegnet": eegnet, "eegnex": eegnex}


def test_filters_are_kept_small() -> None:
    filters = SpatialFilters(n_channels=4, n_temporal_filters=1, n_spatial_filters=2, max_norm=1.0)
    with torch.no_grad():
        filters.weight.copy_(torch.tensor([[[3.0, 0, 4.0, 0]], [[0.3, 0, 0.4, 0]]]))
    x = torch.ones(1, 1, 4, 2)
    out = filters(x)
    torch.testing.assert_close(out[0, :, 0], torch.tensor([1.4, 0.7]))
    out.sum().backward()
    assert filters.weight.grad is not None
    assert (filters.weight.grad @ filters.weight[0, 0])[0].abs() < 1e-5, "no gradient along a filter at its limit"


@baselines
def test_content_is_the_signal(config: EncoderConfig) -> None:
    encoder, batch = new_encoder(config, spec_of([MONTAGES[19]], 4), seed=0).eval(), make_batch()
    tokens = encoder.tokenize(batch)
    assert torch.equal(tokens.content, batch["signal"])
    assert (tokens.n_rows, tokens.n_patches) == (19, 1)


@baselines
def test_padding_counts_as_silence(config: EncoderConfig) -> None:
    encoder, batch = new_encoder(config, spec_of([MONTAGES[19]], 4), seed=0).eval(), make_batch()
    mask = torch.ones(2, 19, dtype=torch.bool)
    mask[:, 3] = False
    silent, lost = batch["signal"].clone(), batch["signal"].clone()
    silent[:, 3], lost[:, 3] = 0.0, torch.nan
    assert torch.equal(encoder({**batch, "signal": lost, "channel_mask": mask}), encoder({**batch, "signal": silent}))


@pytest.mark.parametrize(("n_samples", "found"), [(400, "2 s"), (1600, "8 s"), (793, "3.965 s")])
def test_other_lengths_are_refused(n_samples: int, found: str) -> None:
    encoder, batch = new_encoder(EegnetConfig(), spec_of([MONTAGES[19]], 4), seed=0), make_batch()
    signal = torch.zeros(2, 19, n_samples)
    with pytest.raises(ConfigError, match=rf"built for windows of 4 s, .* last {found}.*length_s"):
        encoder({**batch, "signal": signal})


def test_running_statistics_follow() -> None:
    """The momentum is the option's."""
    encoder = build(EegnetConfig(batch_norm_momentum=0.25), 128.0, 256)
    moments = {norm.momentum for norm in encoder.modules() if isinstance(norm, _BatchNorm)}
    assert moments == {0.25}
