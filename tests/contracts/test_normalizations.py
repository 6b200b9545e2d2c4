"""Promises of every normalization on the menu, each checked against a loop in float64."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from contracts.encoder_cases import MONTAGES, RATE_HZ, make_batch, noise, selected, spec_of
from eegfm.batch import WindowBatch
from eegfm.normalizations.base import Normalization
from eegfm.normalizations.config import (
    ExponentialMovingConfig,
    FixedScaleConfig,
    NormalizationBase,
    NormalizationConfig,
    RobustConfig,
    WindowScaleConfig,
    ZscoreConfig,
)
from eegfm.normalizations.load import new_normalization
from eegfm.normalizations.said import normalization_of

SPEC = spec_of(MONTAGES.values(), 4)
MEMBERS: list[type[NormalizationBase]] = list(get_args(get_args(NormalizationConfig)[0]))
CONFIGS = [member() for member in MEMBERS] + [
    FixedScaleConfig(scale_uv=40.0, offset_uv=-20.0, clip=None),
    ZscoreConfig(clip=None, floor_uv=3.0),
    RobustConfig(low=0.05, high=0.9, clip=2.0),
    WindowScaleConfig(clip=1.5),
    ExponentialMovingConfig(time_constant_s=0.3, clip=None),
]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def row(config: NormalizationBase, signal_uv: Floats, others_uv: list[Floats]) -> Iterator[float]:
    """Values of one channel, sample by sample, beside all real channels of its window."""
    values, n = signal_uv.tolist(), len(signal_uv)
    match config:
        case FixedScaleConfig():
            yield from ((x - config.offset_uv) / config.scale_uv for x in values)
        case ZscoreConfig():
            mean = sum(values) / n
            sd = math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1))
            yield from ((x - mean) / max(sd, config.floor_uv) for x in values)
        case RobustConfig():
            low, high = np.quantile(signal_uv, config.low), np.quantile(signal_uv, config.high)
            yield from ((x - low) / max(high - low, config.floor_uv) for x in values)
        case WindowScaleConfig():
            squares = [x * x for other in others_uv for x in other.tolist()]
            rms = math.sqrt(sum(squares) / len(squares)) if squares else 0.0
            yield from (x / max(rms, config.floor_uv) for x in values)
        case ExponentialMovingConfig():
            keep, weight, total, total_square = 1 - 1 / (config.time_constant_s * RATE_HZ), 0.0, 0.0, 0.0
            for x in values:
                weight, total = keep * weight + 1, keep * total + x
                centred = x - total / weight
                total_square = keep * total_square + centred**2
                yield centred / max(math.sqrt(total_square / weight), config.floor_uv)
        case _:
            raise AssertionError(f"{config.name} has no loop to be compared with")


def looped(config: NormalizationBase, batch: WindowBatch) -> Tensor:
    """(B, C, T) float64, channel by channel."""
    signal_uv, mask = batch["signal"].double().numpy(), batch["channel_mask"].numpy()
    limit = math.inf if config.clip is None else config.clip
    out = np.zeros_like(signal_uv)
    for b, c in zip(*np.nonzero(mask), strict=True):
        real = [signal_uv[b, k] for k in np.flatnonzero(mask[b])]
        out[b, c] = np.clip(list(row(config, signal_uv[b, c], real)), -limit, limit)
    return torch.from_numpy(out)


def windows(n_channels: int = 19, duration_s: float = 2, n_windows: int = 2, seed: int = 0) -> WindowBatch:
    """Coloured noise in microvolts, channels of unequal loudness and offset, some samples far out."""
    batch = make_batch(n_channels, duration_s, n_windows, seed)
    loudness_uv = torch.linspace(2, 60, n_channels).unsqueeze(-1)
    signal_uv = loudness_uv * (batch["signal"] + 0.2 * noise((n_windows, n_channels, 1), 7))
    signal_uv[:, 1::5, 30:33] *= 40
    del batch["signal_uv"]
    return {**batch, "signal": signal_uv}


def with_padding(batch: WindowBatch, held: float = 1e4) -> WindowBatch:
    """The first window lacks three channels, the second two others; absent channels hold arbitrary values."""
    mask = torch.ones(batch["signal"].shape[:2], dtype=torch.bool)
    mask[0, [2, 5, 11]], mask[1, :2] = False, False
    signal = torch.where(mask.unsqueeze(-1), batch["signal"], held * noise(batch["signal"].shape, 3))
    return {**batch, "signal": signal, "channel_mask": mask}


@pytest.fixture(params=CONFIGS, ids=lambda c: f"{c.name}-{c.clip}")
def normalization(request: pytest.FixtureRequest) -> Normalization:
    return new_normalization(request.param, SPEC)


@pytest.mark.parametrize(("n_channels", "duration_s"), [(19, 2), (21, 1.285), (64, 0.1), (129, 0.64)])
def test_it_equals_a_loop_in_float64(normalization: Normalization, n_channels: int, duration_s: float) -> None:
    batch = windows(n_channels, duration_s)
    before = batch["signal"].clone()
    out = normalization(batch)
    assert torch.equal(batch["signal"], before)
    assert torch.equal(out["signal_uv"], before)
    assert out["signal"].dtype == torch.float32
    expected = looped(normalization.config, batch)
    torch.testing.assert_close(out["signal"].double(), expected, atol=2e-5, rtol=2e-5)
    double = normalization.normalized(batch["signal"].double(), batch["channel_mask"])
    torch.testing.assert_close(double, expected, atol=1e-9, rtol=1e-9)


def test_absent_channels_are_zero_and_count_nowhere(normalization: Normalization) -> None:
    batch = with_padding(windows())
    found = normalization(batch)["signal"]
    assert not found[~batch["channel_mask"]].any()
    torch.testing.assert_close(found.double(), looped(normalization.config, batch), atol=2e-5, rtol=2e-5)
    for held in (0.0, math.nan):
        assert torch.equal(normalization(with_padding(windows(), held))["signal"], found)


def test_nothing_real_is_nothing(normalization: Normalization) -> None:
    batch = windows()
    batch["channel_mask"] = torch.zeros(2, 19, dtype=torch.bool)
    assert not normalization(batch)["signal"].any()
    assert torch.isfinite(normalization.scaled(batch["signal"], batch["channel_mask"].unsqueeze(-1))).all()


def test_a_flat_channel_stays_flat(normalization: Normalization) -> None:
    """At any offset; noise below the floor stays small. Forward and backward are finite."""
    batch = windows()
    signal = batch["signal"].clone()
    signal[0, 0], signal[0, 1], signal[1] = 0.0, 25.0, 0.0
    signal[0, 2] = 0.01 * noise(signal[0, 2].shape, 1)
    leaf = signal.requires_grad_()
    found = normalization({**batch, "signal": leaf})["signal"]
    assert torch.isfinite(found).all()
    assert float((found[0, :2] - found[0, :2, :1]).detach().abs().max()) < 1e-6
    assert float(found[0, 2].detach().std()) < 0.02
    assert float((found[1] - found[1, :1, :1]).detach().abs().max()) == 0.0
    (found * noise(found.shape, 2)).sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()


def test_gradients_flow(normalization: Normalization) -> None:
    """Those of absent channels are zero, those of real ones are what differences say."""
    batch = with_padding(windows(), 1.0)
    leaf = batch["signal"].double().requires_grad_()
    weights, mask = noise(leaf.shape, 5).double(), batch["channel_mask"]

    def value(signal_uv: Tensor) -> Tensor:
        return (normalization.normalized(signal_uv, mask) * weights).sum()

    value(leaf).backward()
    gradient = leaf.grad
    assert gradient is not None
    assert not gradient[~mask].any()
    assert (gradient[mask].abs().amax(dim=-1) > 0).all()
    step = noise(leaf.shape, 6).double()
    with torch.no_grad():
        rise = (value(leaf + 1e-6 * step) - value(leaf - 1e-6 * step)) / 2e-6
    assert float(rise) == pytest.approx(float((gradient * step).sum()), rel=1e-3)


def test_permuted_channels_give_permuted_channels(normalization: Normalization) -> None:
    batch = windows()
    order = torch.randperm(19, generator=torch.Generator().manual_seed(1))
    other, _ = selected({**batch, "signal_uv": batch["signal"]}, order)
    torch.testing.assert_close(normalization(other)["signal"], normalization(batch)["signal"][:, order])


def test_windows_are_apart(normalization: Normalization) -> None:
    batch = windows(n_windows=3)
    together = normalization(batch)["signal"]
    for k in range(3):
        alone = normalization.normalized(batch["signal"][k : k + 1], batch["channel_mask"][k : k + 1])
        torch.testing.assert_close(together[k : k + 1], alone)


GAINS: dict[type[NormalizationBase], Callable[[float], float]] = {
    FixedScaleConfig: lambda gain: gain,
    **dict.fromkeys((ZscoreConfig, RobustConfig, WindowScaleConfig, ExponentialMovingConfig), lambda gain: 1.0),
}
"""By member, by how much its result grows with the gain of an amplifier, far from floor and clip."""


@pytest.mark.parametrize("member", MEMBERS)
def test_gain_is_kept_or_removed(member: type[NormalizationBase]) -> None:
    """And so it is as ``takes_statistics`` says, which is what objectives ask for."""
    config = member(clip=None) if member is FixedScaleConfig else member(clip=None, floor_uv=1e-3)
    normalization, batch = new_normalization(config, SPEC), windows()
    quiet, loud = (normalization({**batch, "signal": gain * batch["signal"]})["signal"] for gain in (1.0, 3.0))
    torch.testing.assert_close(loud, GAINS[member](3.0) * quiet, atol=1e-4, rtol=1e-4)
    assert config.takes_statistics == (GAINS[member](3.0) == 1.0) == bool(config.leaks)


@pytest.mark.parametrize("member", MEMBERS)
def test_whether_a_sample_depends_on_others_is_said(member: type[NormalizationBase]) -> None:
    normalization, batch = new_normalization(member(), SPEC), windows()
    changed = batch["signal"].clone()
    changed[:, 4, 100:200] += 80.0
    moved = normalization({**batch, "signal": changed})["signal"] != normalization(batch)["signal"]
    moved[:, 4, 100:200] = False
    assert bool(moved.any()) == member.takes_statistics
    if member is ExponentialMovingConfig:
        assert not moved[..., :100].any(), "it looks back only"
    if member is not WindowScaleConfig:
        assert not moved[:, :4].any(), "each channel on its own"


def test_ratios_of_channels_are_kept_by_one_scale_per_window() -> None:
    batch = windows()
    found = new_normalization(WindowScaleConfig(clip=None), SPEC)(batch)["signal"]
    ratio = found / batch["signal"]
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))
    assert float(found.square().mean()) == pytest.approx(1.0, rel=1e-5)


def test_statistics_are_of_float32_in_low_precision(normalization: Normalization) -> None:
    """A signal in bfloat16 comes back in bfloat16, rounded once; autocast changes nothing."""
    batch = windows()
    low = batch["signal"].bfloat16()
    expected = normalization({**batch, "signal": low.float()})["signal"]
    found = normalization({**batch, "signal": low})["signal"]
    assert torch.equal(found, expected.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(normalization(batch)["signal"], normalization(batch)["signal"].float())
        inside = normalization(batch)["signal"]
    assert torch.equal(inside, normalization(batch)["signal"])


class _Forward(nn.Module):
    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        self.normalization = normalization

    def forward(self, signal_uv: Tensor) -> Tensor:
        """(B, C, T), as an exported encoder normalizes inside."""
        mask = torch.ones(1, 1, dtype=torch.bool).expand(signal_uv.shape[:2])
        normalized: Tensor = self.normalization.normalized(signal_uv, mask)
        return normalized


@pytest.mark.parametrize("member", MEMBERS)
def test_it_exports_and_compiles(member: type[NormalizationBase]) -> None:
    forward, signal_uv = _Forward(new_normalization(member(), SPEC)).eval(), windows()["signal"]
    other = windows(seed=4)["signal"]
    program = torch.export.export(forward, (signal_uv,), strict=False)
    torch.testing.assert_close(program.module()(other), forward(other))
    torch.compiler.reset()
    compiled = torch.compile(forward, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(other), forward(other))


def test_it_has_no_weights_and_is_what_its_header_says(normalization: Normalization) -> None:
    assert not normalization.state_dict()
    assert not list(normalization.parameters())
    assert normalization_of(normalization.config.model_dump(mode="json")) == normalization.config
    assert normalization.config.objective_scale_uv > 0


def test_nothing_looks_at_the_values_of_a_tensor(normalization: Normalization, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device would be waited for."""
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "nonzero"):
        monkeypatch.setattr(Tensor, name, _refused)
    for batch in (windows(), with_padding(windows())):
        normalization(batch)


def _refused(*_: Any) -> None:
    raise AssertionError("a value was looked at")


def test_every_member_is_here() -> None:
    assert {type(config) for config in CONFIGS} == set(MEMBERS) == set(GAINS)
    assert all(a != b for a, b in itertools.combinations(CONFIGS, 2))
