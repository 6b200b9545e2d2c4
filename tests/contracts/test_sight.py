"""Predictions of masked patches depend on visible samples, or the combination is refused before it trains."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from contracts.encoder_cases import IS_FULL, MEMBERS, MENU, MONTAGES, Case, noise, spec_of
from eegfm.adapters.config import InterpolateConfig, NoAdapterConfig, PerceiverConfig, ZeroPadConfig
from eegfm.batch import StoredBatch, WindowBatch
from eegfm.config import Buildable
from eegfm.encoders.config import ConvConfig, PatchTransformerConfig
from eegfm.encoders.traits import EncoderConfig
from eegfm.errors import ConfigError
from eegfm.inference.backbone import Backbone, new_backbone
from eegfm.nn.context import Context
from eegfm.nn.weights import build_seeded
from eegfm.objectives.config import MaeConfig, MaskedConfig, PatchObjectiveConfig
from eegfm.objectives.patches.objective import PatchObjective
from eegfm.recording import Montage
from eegfm.training.config import PretrainParams

ADAPTERS: dict[str, Buildable] = {
    "none": NoAdapterConfig(),
    "interpolate": InterpolateConfig(montage="1020_19"),
    "zero_pad": ZeroPadConfig(montage="1010_64", unplaced="drop"),
    "perceiver": PerceiverConfig(montage="1020_19", patch_s=0.04, d_model=16, n_heads=2),
}
ONE_LAYER = Case("one_layer", "patch_transformer", {"d_model": 16, "head_size": 8, "n_layers": 1})
SHORT_SIGHTED = [
    ONE_LAYER,
    Case("criss_cross", "patch_transformer", {**ONE_LAYER.choices, "head_size": 4, "attention": "criss_cross"}),
    Case("full", "patch_transformer", {**ONE_LAYER.choices, "attention": "full"}),
    Case("registers", "patch_transformer", {**ONE_LAYER.choices, "n_registers": 1}),
    Case("two_layers", "patch_transformer", {**ONE_LAYER.choices, "n_layers": 2}),
    Case("kernel_of_one", "conv", {"d_model": 16, "n_layers": 3, "kernel_size": 1}),
    Case("kernel_of_three", "conv", {"d_model": 16, "n_layers": 1}),
]
CHEAP = {"labram": {"n_layers": 1}, "cbramod": {"n_layers": 1}, "luna": {"n_layers": 1}}
TOKENS = [case for (case,) in (param.values for param in MENU) if MEMBERS[case.member].traits.output != "window"]
COMBINATIONS = [
    (case, adapter)
    for case in (*TOKENS, *SHORT_SIGHTED)
    for adapter in ADAPTERS
    # The one that learns is the hard one; others leave channels to see, whatever the encoder.
    if IS_FULL or adapter == "perceiver" or (adapter == "none" and case in SHORT_SIGHTED)
]


def backbone_of(case: Case, adapter: Buildable, montage: Montage, n_samples: int) -> Backbone:
    choices = {**case.choices, **case.light, **CHEAP.get(case.name, {})}
    encoder = MEMBERS[case.member].model_validate(choices)
    spec = spec_of([montage], n_samples / 200)
    return new_backbone(encoder, adapter, spec, 0, reference="as_recorded", bad_channels="mask")


def windows_of(backbone: Backbone, seed: int = 0) -> WindowBatch:
    ((name, montage),) = backbone.spec.montages.items()
    shape = (2, backbone.spec.n_samples[name], montage.n_channels)
    batch: StoredBatch = {
        "samples": (1000 * noise(shape, seed)).to(torch.int16),
        "scales_uv": torch.full((2, montage.n_channels), 0.02),
        "recording": torch.arange(2),
        "corpus": "tuh",
        "montage": name,
    }
    return backbone.prepare(batch)


@torch.no_grad()
def sees(objective: PatchObjective) -> bool:
    """Whether every prediction of a masked token changes when all samples do. No config is asked."""
    for parameter in objective.parameters():  # what begins with zeros hides nothing
        parameter.add_(0.1 * noise(parameter.shape, 3))
    objective.eval()
    first, other = (windows_of(objective.backbone, seed) for seed in (0, 1))
    predictions: list[Tensor] = []
    for windows in (first, {**other, "target_signal": other["signal"]} if "target_signal" in first else other):
        masking = objective.mask(windows, Context())
        predictions.append(objective.predict(masking, masking.masked))
    return bool((predictions[0] != predictions[1]).any(dim=-1).all())


def built(config: PatchObjectiveConfig, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, bool]:
    """Whether the objective takes the backbone, and whether it sees what is visible if it is not asked."""
    try:
        build_seeded(config, 0, backbone)
        is_taken = True
    except ConfigError as error:
        assert "would train blindly" in str(error)  # noqa: PT017 - whether it is raised is the question
        is_taken = False
    monkeypatch.setattr(type(config), "check_sight", lambda *_, **__: None)
    objective = build_seeded(config, 0, backbone)
    assert isinstance(objective, PatchObjective)
    return is_taken, sees(objective)


@pytest.mark.parametrize(("case", "adapter"), COMBINATIONS, ids=lambda part: getattr(part, "name", part))
def test_what_an_encoder_says_it_sees_is_what_it_sees(
    case: Case, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = backbone_of(case, ADAPTERS[adapter], MONTAGES[21], 400)
    config = MaskedConfig(allow_leaks=True, target="signal")
    is_taken, is_seeing = built(config, backbone, monkeypatch)
    assert is_taken is is_seeing
    assert is_taken is not (adapter == "perceiver" and case.name in {"one_layer", "registers", "kernel_of_one"})


@pytest.mark.parametrize(
    ("encoder", "key"),
    [
        (
            PatchTransformerConfig(n_layers=1),
            r"encoder\.attention: alternating and encoder\.n_layers: 1 .*; set encoder\.n_layers: 2 .*: full,",
        ),
        (ConvConfig(kernel_size=1), r"encoder\.kernel_size: 1 .*; set encoder\.kernel_size: 3 \(or more\),"),
    ],
)
def test_parameters_are_refused_in_one_line(encoder: EncoderConfig, key: str) -> None:
    line = rf"masked would train blindly: behind adapter\.name: perceiver, .*{encoder.name} with {key} or adapter"
    with pytest.raises(ValidationError, match=line):
        PretrainParams(encoder=encoder, adapter=PerceiverConfig(), n_steps=1)
    PretrainParams(encoder=encoder, n_steps=1)
    if encoder.traits.supports_visible:
        PretrainParams(encoder=encoder, adapter=PerceiverConfig(), objective=MaeConfig(), n_steps=1)


@pytest.mark.parametrize(
    ("n_channels", "n_samples", "case", "expected"),
    [
        (1, 200, "two_layers", "masks 0 of 1 tokens"),
        (1, 400, "one_layer", "1 x 2 tokens"),
        (1, 400, "two_layers", ""),
        (21, 200, "kernel_of_three", ""),
        (21, 200, "one_layer", ""),
        (1, 400, "kernel_of_one", "1 x 2 tokens"),
    ],
)
def test_what_is_visible_counts_too(
    n_channels: int, n_samples: int, case: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token alone in its patch, or alone in its channel, sees nothing there."""
    montage = MONTAGES[21]
    columns = (montage.channel_names, montage.positions_m, montage.is_scalp)
    few = Montage(*(column[:n_channels] for column in columns), montage.reference)
    backbone = backbone_of({c.name: c for c in SHORT_SIGHTED}[case], NoAdapterConfig(), few, n_samples)
    if expected:
        with pytest.raises(ConfigError, match=expected):
            build_seeded(MaskedConfig(), 0, backbone)
    if "masks 0" not in expected:
        assert built(MaskedConfig(target="signal"), backbone, monkeypatch) == (not expected, not expected)
