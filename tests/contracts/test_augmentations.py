"""Promises of every augmentation on the menu; signals are checked against loops in float64."""

import cmath
import itertools
import math
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from contracts.encoder_cases import MONTAGES, RATE_HZ, make_batch, noise, spec_of
from contracts.test_waiting import META, Waits, stand_in_for_a_gpu
from eegfm.augmentations.base import Augmentation
from eegfm.augmentations.chain import Augmentations
from eegfm.augmentations.config import (
    AugmentationBase,
    AugmentationConfig,
    BandStopConfig,
    ChannelDropoutConfig,
    ChannelGainConfig,
    ChannelSubsetConfig,
    GainConfig,
    NoiseConfig,
    PhaseNoiseConfig,
    SpectralTiltConfig,
    TimeShiftConfig,
)
from eegfm.batch import WindowBatch, rank_slice
from eegfm.nn.context import Context, WindowDraws

SPEC = spec_of(MONTAGES.values(), 4)
MEMBERS: list[type[AugmentationBase]] = list(get_args(get_args(AugmentationConfig)[0]))
CONFIGS: list[AugmentationBase] = [member() for member in MEMBERS] + [
    GainConfig(log_sd=1.0),
    SpectralTiltConfig(per_channel=True, n_cosines=3, log_sd=0.4),
    ChannelDropoutConfig(ratio=0.95),
    ChannelSubsetConfig(n_channels=40),
    TimeShiftConfig(edges="reflect", max_ms=400),
    NoiseConfig(color="pink", relative_to="microvolts", sd=3.0),
    NoiseConfig(color="pink"),
    BandStopConfig(low_hz=0, high_hz=5, min_width_hz=0, edge_hz=3),
    PhaseNoiseConfig(per_channel=True, n_sines=30, sd_rad=2.0),
]
N_WINDOWS = 4
Floats = np.ndarray[Any, np.dtype[np.float64]]


def built(config: AugmentationBase) -> Augmentation:
    augmentation = config.build(SPEC)
    assert isinstance(augmentation, Augmentation)
    return augmentation


def draws(step: int = 0, n_windows: int = N_WINDOWS) -> WindowDraws:
    return Context(step).window_draws(17, "tuh", n_windows)


def windows(n_channels: int = 19, duration_s: float = 2, n_windows: int = N_WINDOWS, seed: int = 0) -> WindowBatch:
    """Noise in microvolts, channels of unequal loudness, as re-referencing gives them: nothing is absent."""
    batch = make_batch(n_channels, duration_s, n_windows, seed)
    loudness_uv = torch.linspace(2, 60, n_channels).unsqueeze(-1)
    signal_uv = loudness_uv * (batch["signal"] + 0.2 * noise((n_windows, n_channels, 1), 7))
    del batch["signal_uv"]
    return {**batch, "signal": signal_uv, "known_mask": None}


def with_absent(batch: WindowBatch, held: float = 1e4) -> WindowBatch:
    """Windows lack different channels, one all but two; absent channels hold arbitrary values."""
    mask = torch.ones(batch["signal"].shape[:2], dtype=torch.bool)
    mask[0, [2, 5, 11]], mask[1, :2], mask[3, 2:] = False, False, False
    signal = torch.where(mask.unsqueeze(-1), batch["signal"], held * noise(batch["signal"].shape, 3))
    return {**batch, "signal": signal, "channel_mask": mask, "known_mask": mask.numpy()}


def alike(found: WindowBatch, expected: WindowBatch) -> None:
    """Both are equal, bit by bit."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, Tensor):
            assert torch.equal(found[name], value), name
        else:
            assert np.array_equal(found[name], value), name


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{CONFIGS.index(c)}-{c.name}")
def augmentation(request: pytest.FixtureRequest) -> Augmentation:
    return built(request.param)


def response(config: AugmentationBase, own: WindowDraws, n_channels: int, place: float) -> list[list[complex]]:
    """By window and channel, what a frequency is multiplied by; ``place`` is its share of half the rate."""
    match config:
        case SpectralTiltConfig() | PhaseNoiseConfig():
            is_tilt = isinstance(config, SpectralTiltConfig)
            n_waves, sd = (config.n_cosines, config.log_sd) if is_tilt else (config.n_sines, config.sd_rad)
            n_own = n_channels if config.per_channel else 1
            numbers = own.normal(n_own * n_waves).double().reshape(-1, n_own, n_waves).tolist()
            wave = math.cos if is_tilt else math.sin
            waves = [sd / math.sqrt(k) * wave(k * math.pi * place) for k in range(1, n_waves + 1)]
            sums = [[sum(n * w for n, w in zip(row, waves, strict=True)) for row in window] for window in numbers]
            spread = [(window * n_channels)[:n_channels] for window in sums]
            return [[cmath.exp(total if is_tilt else 1j * total) for total in window] for window in spread]
        case BandStopConfig():
            rows = []
            for at, wide in own.uniform(2).double().tolist():
                centre_hz = config.low_hz + at * (config.high_hz - config.low_hz)
                width_hz = config.min_width_hz + wide * (config.max_width_hz - config.min_width_hz)
                beyond_hz = abs(place * RATE_HZ / 2 - centre_hz) - width_hz / 2
                rise = min(max(beyond_hz / config.edge_hz, 0.0), 1.0)
                rows.append([complex(math.sin(rise * math.pi / 2) ** 2)] * n_channels)
            return rows
    raise AssertionError(f"{config.name} is no filter")


def shifted(row: Floats, shift: int, edges: str) -> Floats:
    n, out = len(row), np.empty_like(row)
    for t in range(n):
        source = t - shift
        if edges == "circular":
            source %= n
        elif source < 0:
            source = -source
        elif source >= n:
            source = 2 * (n - 1) - source
        out[t] = row[source]
    return out


def added(config: NoiseConfig, own: WindowDraws, signal: Floats, mask: Floats) -> Floats:
    size, n_channels, n = signal.shape
    white = own.long_normal(n_channels * n).double().numpy().reshape(size, n_channels, n)
    if config.color == "pink":
        power = np.array([0.0] + [1 / min(k, n - k) for k in range(1, n)])
        gain = np.sqrt(power / power.mean())
        white = np.fft.ifft(np.fft.fft(white) * gain).real
    for b in range(size):
        variances = [signal[b, c].var() for c in np.flatnonzero(mask[b])]
        scale = math.sqrt(sum(variances) / len(variances)) if config.relative_to == "window" else 1.0
        signal[b] += config.sd * scale * white[b]
    return signal


def looped(config: AugmentationBase, batch: WindowBatch) -> Tensor:
    """(B, C, T) float64, window by window, with the same draws."""
    mask, own = batch["channel_mask"].numpy(), draws()
    signal = batch["signal"].double().numpy() * np.where(mask, 1.0, 0.0)[..., None]
    size, n_channels, n = signal.shape
    match config:
        case GainConfig():
            for b, number in enumerate(own.normal(1)[:, 0].tolist()):
                signal[b] *= math.exp(config.log_sd * number)
        case ChannelGainConfig():
            numbers = own.normal(n_channels).double().tolist()
            for b, c in itertools.product(range(size), range(n_channels)):
                signal[b, c] *= math.exp(config.log_sd * numbers[b][c])
        case TimeShiftConfig():
            most = int(config.max_ms * RATE_HZ / 1000)
            for b, u in enumerate(own.uniform(1)[:, 0].double().tolist()):
                for c in range(n_channels):
                    signal[b, c] = shifted(signal[b, c], int(u * (2 * most + 1)) - most, config.edges)
        case NoiseConfig():
            signal = added(config, own, signal, mask)
        case _:
            spectrum = np.fft.rfft(signal)
            for k in range(spectrum.shape[-1]):
                spectrum[..., k] *= np.array(response(config, draws(), n_channels, 2 * k / n))
            signal = np.fft.irfft(spectrum, n=n)
    return torch.from_numpy(signal * np.where(mask, 1.0, 0.0)[..., None])


@pytest.mark.parametrize(("n_channels", "duration_s"), [(19, 2), (21, 0.855)])
@pytest.mark.parametrize("absent", [False, True])
def test_it_equals_a_loop_in_float64(
    augmentation: Augmentation, n_channels: int, duration_s: float, absent: bool
) -> None:
    config = augmentation.config
    if isinstance(config, ChannelDropoutConfig | ChannelSubsetConfig):
        return  # exact, in their own tests
    batch = windows(n_channels, duration_s)
    batch = with_absent(batch) if absent else batch
    found = augmentation(batch, draws())["signal"]
    assert not torch.equal(found[batch["channel_mask"]], batch["signal"][batch["channel_mask"]])
    torch.testing.assert_close(found.double(), looped(config, batch), atol=2e-3, rtol=1e-4)
    double: WindowBatch = {**batch, "signal": batch["signal"].double()}
    torch.testing.assert_close(augmentation(double, draws())["signal"], looped(config, batch), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(("n_channels", "duration_s"), [(19, 2), (64, 0.5), (129, 0.64)])
def test_shapes_and_the_rest_of_the_batch_stay(augmentation: Augmentation, n_channels: int, duration_s: float) -> None:
    for batch in (windows(n_channels, duration_s), with_absent(windows(n_channels, duration_s))):
        before = {name: value.clone() if isinstance(value, Tensor) else value for name, value in batch.items()}
        out = augmentation(batch, draws())
        alike(batch, before)
        n_left = n_channels
        if not augmentation.config.keeps_channels:
            n_left = min(augmentation.config.n_channels, n_channels)
        assert out["signal"].shape == (N_WINDOWS, n_left, batch["signal"].shape[-1])
        assert out["channel_positions"].shape == (N_WINDOWS, n_left, 3)
        assert out["channel_mask"].shape == (N_WINDOWS, n_left)
        assert out["channel_mask"].any(dim=1).all()
        assert out["signal"].dtype == torch.float32
        assert torch.isfinite(out["signal"][out["channel_mask"]]).all()
        known = out["known_mask"]
        assert np.array_equal(out["channel_mask"], np.ones((N_WINDOWS, n_left)) if known is None else known)
        for name in before.keys() - {"signal", "channel_positions", "channel_mask", "known_mask"}:
            assert out[name] is batch[name], name
        if augmentation.config.keeps_channels:
            assert out["channel_positions"] is batch["channel_positions"]


def test_the_seed_decides(augmentation: Augmentation) -> None:
    batch = windows()
    first = augmentation(batch, draws())
    torch.manual_seed(5)
    alike(augmentation(batch, draws()), first)
    if getattr(augmentation.config, "n_channels", 0) < 19:
        other = augmentation(batch, draws(step=1))
        assert not torch.equal(other["signal"], first["signal"])


def test_windows_of_a_pair_differ(augmentation: Augmentation) -> None:
    """The same window twice comes out as two; only a subset of channels is the same for all."""
    batch = windows()
    batch["signal"] = batch["signal"][:1].expand(N_WINDOWS, -1, -1)
    signal = augmentation(batch, draws())["signal"]
    for a, b in itertools.combinations(range(N_WINDOWS), 2):
        assert torch.equal(signal[a], signal[b]) == (not augmentation.config.keeps_channels)


@pytest.mark.parametrize(("world_size", "n_cuts"), [(2, 1), (4, 1), (2, 2)])
def test_ranks_and_cuts_together_are_one_process(augmentation: Augmentation, world_size: int, n_cuts: int) -> None:
    for batch in (windows(), with_absent(windows())):
        whole = augmentation(batch, Context(3).window_draws(17, "tuh", N_WINDOWS))
        for rank, cut in itertools.product(range(world_size), range(n_cuts)):
            own = rank_slice(rank + cut * world_size, world_size * n_cuts)
            part: Any = {k: v[own] if isinstance(v, Tensor | np.ndarray) else v for k, v in batch.items()}
            context = replace(Context(3, rank=rank, world_size=world_size), cut=cut, n_cuts=n_cuts)
            found = augmentation(part, context.window_draws(17, "tuh", len(part["signal"])))
            torch.testing.assert_close(found["signal"], whole["signal"][own], atol=1e-4, rtol=1e-5)
            assert torch.equal(found["channel_mask"], whole["channel_mask"][own])
            assert torch.equal(found["channel_positions"], whole["channel_positions"][own])


def test_absent_channels_stay_absent_and_count_nowhere(augmentation: Augmentation) -> None:
    out = augmentation(with_absent(windows()), draws())
    for held in (0.0, math.nan):
        again = augmentation(with_absent(windows(), held), draws())
        assert torch.equal(again["channel_mask"], out["channel_mask"])
        is_present = out["channel_mask"]
        assert torch.equal(again["signal"][is_present], out["signal"][is_present])
    if augmentation.config.keeps_channels:
        assert not (out["channel_mask"] & ~with_absent(windows())["channel_mask"]).any()
        assert not out["signal"][~out["channel_mask"]].any()


def test_flat_channels_stay_flat(augmentation: Augmentation) -> None:
    batch = windows()
    signal = batch["signal"].clone()
    signal[0, :], signal[1, 1::2] = 0.0, 25.0
    leaf = signal.requires_grad_()
    out = augmentation({**batch, "signal": leaf}, draws())["signal"]
    out.square().sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    if augmentation.config.name == "noise":
        is_silent = augmentation.config.relative_to == "window"
        assert bool(out[0].any()) != is_silent, "nothing times its standard deviation"
        return
    assert not out[0].any()
    if augmentation.config.keeps_channels:
        spread = out[1, 1::2].detach().amax(dim=-1) - out[1, 1::2].detach().amin(dim=-1)
        assert float(spread.max()) < 1e-4


def test_gradients_pass_to_the_signal(augmentation: Augmentation) -> None:
    """As differences say; noise does not follow its own scale."""
    batch = with_absent(windows(duration_s=0.5), 1.0)
    leaf = batch["signal"].double().requires_grad_()
    weights = noise(augmentation(batch, draws())["signal"].shape, 5).double()

    def value(signal_uv: Tensor) -> Tensor:
        out = augmentation({**batch, "signal": signal_uv}, draws())
        return (out["signal"] * weights * out["channel_mask"].unsqueeze(-1)).sum()

    value(leaf).backward()
    assert leaf.grad is not None
    assert not leaf.grad[~batch["channel_mask"]].any()
    if augmentation.config.name == "noise":
        assert torch.equal(leaf.grad[batch["channel_mask"]], weights[batch["channel_mask"]])
        return
    step = noise(leaf.shape, 6).double()
    rise = (value(leaf.detach() + 1e-6 * step) - value(leaf.detach() - 1e-6 * step)) / 2e-6
    assert float(rise) == pytest.approx(float((leaf.grad * step).sum()), rel=1e-3)
    assert leaf.grad.any()


def test_low_precision_is_computed_in_float32(augmentation: Augmentation) -> None:
    batch = windows()
    expected = augmentation(batch, draws())["signal"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(augmentation(batch, draws())["signal"], expected)
    low: WindowBatch = {**batch, "signal": batch["signal"].bfloat16()}
    full: WindowBatch = {**batch, "signal": batch["signal"].bfloat16().float()}
    assert torch.equal(augmentation(low, draws())["signal"], augmentation(full, draws())["signal"].bfloat16())


def test_nothing_waits_for_the_device(augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_for_a_gpu(monkeypatch)
    for batch in (windows(), with_absent(windows())):
        on_device: Any = {name: v.to(META) if isinstance(v, Tensor) else v for name, v in batch.items()}
        on_device["signal"].requires_grad_()
        with Waits() as waits:
            augmentation(on_device, draws())["signal"].sum().backward()
        assert waits.calls == []


def test_it_has_no_weights(augmentation: Augmentation) -> None:
    assert not augmentation.state_dict()
    assert not list(augmentation.parameters())


def test_a_chain_gives_each_its_own_numbers() -> None:
    """Two of the same kind differ; what is added behind changes nothing before; the order is kept."""
    gain = GainConfig()
    context, batch = Context(2, corpora=("hbn", "tuh")), windows()
    factors = []
    for chain in ([gain], [gain, gain], [ChannelDropoutConfig(ratio=0.01), gain], []):
        signal = Augmentations(chain, SPEC)(batch, context)["signal"]
        factors.append((signal[:, 3, 0] / batch["signal"][:, 3, 0]).tolist())
    first, both, second, none = factors
    assert none == [1.0] * N_WINDOWS
    assert both == pytest.approx([a * b for a, b in zip(first, second, strict=True)], rel=1e-4)
    assert all(abs(a - b) > 1e-3 for a, b in zip(first, second, strict=True))
    every = Augmentations([member() for member in MEMBERS], SPEC)
    alike(every(batch, context), every(batch, context))
    assert not every.state_dict()


def test_every_member_is_here() -> None:
    assert {type(config) for config in CONFIGS} == set(MEMBERS)
    assert all(a != b for a, b in itertools.combinations(CONFIGS, 2))
