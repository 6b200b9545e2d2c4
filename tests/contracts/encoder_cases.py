"""Encoders under contract (members and variants), and their windows of 200 Hz."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

import pytest
import torch

from eegfm.batch import SignalSpec, WindowBatch
from eegfm.encoders.base import Encoder
from eegfm.encoders.config import AnyEncoderConfig, CbramodConfig, LabramConfig, LunaConfig
from eegfm.encoders.load import new_encoder
from eegfm.encoders.traits import EncoderConfig
from eegfm.recording import Montage
from eegfm.signal.montages.canonical import canonical_montage

RATE_HZ = 200.0
LENGTHS_S = (2, 4, 6)
MONTAGES = {m.n_channels: m for m in map(canonical_montage, ("1020_19", "1020_21", "1010_64", "gsn_129"))}
BY_NAME = {montage.name: montage for montage in MONTAGES.values()}


def members(union: object) -> list[type[EncoderConfig]]:
    """Classes of a union, which may be annotated, nested, or of one."""
    inner = get_args(union)[0] if get_origin(union) is Annotated else union
    return [member for part in get_args(inner) for member in members(part)] or [inner]


MEMBERS = {member.model_fields["name"].default: member for member in members(AnyEncoderConfig)}


@dataclass(frozen=True)
class Case:
    """A configuration under contract.

    Args:
        name: Of the test.
        member: Name on the menu.
        choices: What differs from the default.
        light: Further choices where a check asks for behaviour and not for the default's size.
        at_129: Further choices for 129 channels, where the default becomes too large for a test.
        channel_counts: Montages that it takes.
        bf16_error: Largest relative error of the output under autocast; more than 0.02 needs a reason beside it.
        n_breaks: Graph breaks of ``torch.compile``.
        exceptions: By check, why this encoder cannot keep the promise. The check must fail then.
    """

    name: str
    member: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    light: Mapping[str, Any] = field(default_factory=dict)
    at_129: Mapping[str, Any] = field(default_factory=dict)
    channel_counts: tuple[int, ...] = tuple(MONTAGES)
    bf16_error: float = 0.02
    n_breaks: int = 0
    exceptions: Mapping[str, str] = field(default_factory=dict)


_WHOLE_WINDOW = dict.fromkeys(
    ("tokens_hold_their_patch", "masked_content_stays_masked"),
    "as published, statistics over the whole window normalize each patch",
)
_SMALL = {"d_model": 64, "n_layers": 2, "head_size": 32}
NOTES = (
    Case("patch_transformer", "patch_transformer", light={"d_model": 64, "n_layers": 2}),
    Case("luna", "luna", light={"n_layers": 2, "n_queries": 2}),
    Case("femba", "femba", light={"d_token": 8, "n_layers": 1}, at_129={"d_token": 4}),
    Case("labram", "labram", light={"n_layers": 2}),
    Case("eegnex", "eegnex", light={"n_filters": 8, "kernel_samples": 16}),
    Case("cbramod", "cbramod", light={"n_layers": 2}),
    Case("gru", "gru", n_breaks=2),  # one per layer: dynamo leaves torch's recurrent kernels alone
)
VARIANTS = (
    Case("patch_transformer-full", "patch_transformer", {**_SMALL, "attention": "full"}),
    Case("patch_transformer-criss_cross", "patch_transformer", {**_SMALL, "attention": "criss_cross"}),
    Case("patch_transformer-published_widths", "patch_transformer", {"d_model": 40, "head_size": 20, "n_layers": 2}),
    Case(
        "patch_transformer-conv",
        "patch_transformer",
        {**_SMALL, "patch_embedding": "conv", "spectrum_input": True, "patch_s": 0.5, "position_jitter_m": 0.01},
    ),
    Case(
        "patch_transformer-swiglu_rms",
        "patch_transformer",
        {**_SMALL, "feed_forward": "swiglu", "norm": "rms", "drop_path_ratio": 0.1, "dropout_ratio": 0.1},
    ),
    Case("patch_transformer-registers", "patch_transformer", {**_SMALL, "n_registers": 2, "summary": "register"}),
    Case("patch_transformer-full_registers", "patch_transformer", {**_SMALL, "attention": "full", "n_registers": 1}),
    Case("luna-published", "luna", {"n_layers": 1, "n_queries": 2, **LunaConfig.published}, exceptions=_WHOLE_WINDOW),
    Case("luna-window_norm", "luna", {"n_layers": 1, "patch_norm": "window"}, exceptions=_WHOLE_WINDOW),
    Case(
        "labram-published",
        "labram",
        {"n_layers": 1, "channels": "names", "summary": "cls", **LabramConfig.published},
        channel_counts=(19, 21, 64),
        exceptions=_WHOLE_WINDOW,
    ),
    Case(
        "braindecode-deep4",
        "braindecode",
        {"model": "Deep4Net", "options": {"pool_time_length": 2, "pool_time_stride": 2}},  # 3 leaves nothing of 2 s
    ),
    Case("cbramod-published", "cbramod", {"n_layers": 1, **CbramodConfig.published}, exceptions=_WHOLE_WINDOW),
)
CASES = {name: Case(name, name) for name in MEMBERS} | {case.name: case for case in (*NOTES, *VARIANTS)}


PARAMS = [pytest.param(c, id=name, marks=[pytest.mark.zoo] * (c.member == "braindecode")) for name, c in CASES.items()]
"""The cases as parameters of a test."""
IS_FULL = os.environ.get("EEGFM_CONTRACTS") == "full"
MENU = [param for param in PARAMS if IS_FULL or param.id in MEMBERS]
"""One case for each member, without the variants: for what a member shows of all of them."""


class Subject:
    """Encoders of one configuration, built when they are asked for.

    Args:
        case: What is special about it.
        config: The default.
        light: The small stand-in; the default if not given.
        at_129: Stand-in for 129 channels; the default if not given.
    """

    def __init__(
        self,
        case: Case,
        config: EncoderConfig,
        light: EncoderConfig | None = None,
        at_129: EncoderConfig | None = None,
    ) -> None:
        self.case, self.config = case, config
        self.light, self.at_129 = light or config, at_129 or config
        self.traits = config.traits

    @classmethod
    def of(cls, case: Case) -> "Subject":
        """Validate the configurations of a case."""
        member = MEMBERS[case.member]
        config, light, at_129 = (
            member.model_validate({**case.choices, **more}) for more in ({}, case.light, case.at_129)
        )
        return cls(case, config, light, at_129)

    def spec(self, n_channels: int = 19, duration_s: int = 4, more: Iterable[Montage] = ()) -> SignalSpec:
        """All that the encoder takes at once: every montage and length, or only these where it is tied."""
        known = [montage for n, montage in MONTAGES.items() if n in self.case.channel_counts]
        montages = [MONTAGES[n_channels]] if self.traits.one_montage else [*known, *more]
        return spec_of(montages, duration_s if self.traits.one_length else max(LENGTHS_S))

    def encoder(self, n_channels: int = 19, duration_s: int = 4, *, is_default: bool = False) -> Encoder:
        """An encoder in evaluation mode, shared by all checks: copy it before it changes."""
        config = self.light
        if is_default:
            config = self.at_129 if n_channels == 129 else self.config
        tied_to = n_channels if self.traits.one_montage else 19, duration_s if self.traits.one_length else 4
        return _built(config, self.spec(*tied_to))

    def encoder_of(self, spec: SignalSpec) -> Encoder:
        """A small encoder of its own for these data."""
        return new_encoder(self.light, spec, seed=0).eval()


_ENCODERS: dict[str, Encoder] = {}


def _built(config: EncoderConfig, spec: SignalSpec) -> Encoder:
    key = f"{type(config).__name__} {config.model_dump_json()} {json.dumps(spec.to_dict())}"
    if key not in _ENCODERS:
        _ENCODERS[key] = new_encoder(config, spec, seed=0).eval()
    return _ENCODERS[key]


def spec_of(montages: Iterable[Montage], duration_s: float) -> SignalSpec:
    """Montages with windows of one length."""
    by_name = {montage.name: montage for montage in montages}
    return SignalSpec(RATE_HZ, by_name, dict.fromkeys(by_name, round(duration_s * RATE_HZ)))


def make_batch(n_channels: int = 19, duration_s: float = 4, n_windows: int = 2, seed: int = 0) -> WindowBatch:
    """White noise of 20 uV, over 30; positions and mask are shared, as batches without padding carry them."""
    montage = MONTAGES[n_channels]
    shape = (n_windows, n_channels, round(duration_s * RATE_HZ))
    signal = noise(shape, seed) / 1.5
    return {
        "signal": signal,
        "signal_uv": 30 * signal,
        "channel_positions": torch.from_numpy(montage.positions()).expand(n_windows, -1, -1),
        "channel_mask": torch.ones(1, 1, dtype=torch.bool).expand(n_windows, n_channels),
        "reference": "average",
        "recording": torch.zeros(n_windows, dtype=torch.int64),
        "corpus": "tuh",
        "montage": montage.name,
    }


def with_signal(batch: WindowBatch, signal: torch.Tensor) -> WindowBatch:
    """The windows with another signal, normalized, and the microvolts that it would be made of."""
    return {**batch, "signal": signal, "signal_uv": 30 * signal}


def in_microvolts(batch: WindowBatch) -> WindowBatch:
    """The windows as a backbone of windows takes them, before they are normalized."""
    return {**batch, "signal": batch["signal_uv"]}


def noise(shape: Iterable[int], seed: int) -> torch.Tensor:
    """Standard normal values from a seed."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def tones(n_windows: int = 8, n_channels: int = 19, duration_s: float = 2) -> WindowBatch:
    """Windows that differ in their frequency, 4 to 32 Hz, and a little noise."""
    batch = make_batch(n_channels, duration_s, n_windows)
    seconds = torch.arange(batch["signal"].shape[-1]) / RATE_HZ
    frequencies_hz = torch.linspace(4, 32, n_windows).view(-1, 1, 1)
    tone = torch.sin(2 * torch.pi * frequencies_hz * seconds) + 0.1 * batch["signal"]
    return {**with_signal(batch, tone), "label": torch.arange(n_windows) % 2}


def selected(batch: WindowBatch, channels: torch.Tensor) -> tuple[WindowBatch, Montage]:
    """The batch with these channels in this order, and their montage."""
    montage, order = BY_NAME[batch["montage"]], channels.tolist()
    columns = (montage.channel_names, montage.positions_m, montage.is_scalp)
    chosen = Montage(*(tuple(column[k] for k in order) for column in columns), montage.reference)
    out: WindowBatch = {**batch, "montage": chosen.name}
    for name in ("signal", "signal_uv", "channel_mask"):
        out[name] = batch[name][:, channels]
    out["channel_positions"] = batch["channel_positions"][:, channels]
    return out, chosen
