"""Objectives that mask patches refuse encoders whose tokens know of the whole window, before anything is built."""

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from backbones import WindowBackbone
from contracts.encoder_cases import MEMBERS, Case, Subject
from eegfm.encoders.config import CbramodConfig, LabramConfig, LunaConfig
from eegfm.errors import ConfigError
from eegfm.objectives.base_config import EncoderFacts
from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.masked import Masked
from eegfm.training.config import PretrainParams

LEAKING: list[dict[str, Any]] = [
    {"name": "luna", "patch_norm": "window"},
    {"name": "labram", "patch_norm": "window"},
    {"name": "cbramod", "patch_norm": "window"},
]


@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member().traits.output != "window"])
def test_the_default_of_every_encoder_may_be_trained(name: str) -> None:
    params = PretrainParams(encoder={"name": name}, objective={"name": "masked"}, n_steps=1)
    assert not params.encoder.leaks
    assert not params.objective.allow_leaks


@pytest.mark.parametrize("encoder", LEAKING, ids=lambda e: "-".join(e.values()))
def test_a_leaking_choice_is_refused_with_its_key_and_the_remedy(encoder: dict[str, Any]) -> None:
    key, choice = list(encoder.items())[1]
    remedy = MEMBERS[encoder["name"]].patchwise[key]
    expected = rf"masked masks .* encoder {encoder['name']} .* encoder\.{key}: {choice}; set encoder\.{key}: {remedy}"
    with pytest.raises(ValidationError, match=expected):
        PretrainParams(encoder=encoder, objective={"name": "masked"}, n_steps=1)
    allowed = {"name": "masked", "allow_leaks": True}
    assert PretrainParams(encoder=encoder, objective=allowed, n_steps=1).objective.allow_leaks


@pytest.mark.parametrize("name", ["zscore", "robust", "window_scale", "exponential_moving"])
def test_so_is_a_normalization_by_statistics(name: str) -> None:
    expected = rf"masked masks .* with normalization\.name: {name}; set normalization\.name: fixed_scale, or objective"
    with pytest.raises(ValidationError, match=expected):
        PretrainParams(normalization={"name": name}, n_steps=1)
    allowed = PretrainParams(normalization={"name": name}, objective={"name": "masked", "allow_leaks": True}, n_steps=1)
    assert allowed.chosen_normalization.name == name
    assert PretrainParams(n_steps=1).chosen_normalization.name == "fixed_scale"


def test_all_leaking_choices_are_named_together() -> None:
    with pytest.raises(ConfigError, match=r"set encoder\.patch_norm: patch, normalization\.name: fixed_scale, or"):
        MaskedConfig().check_encoder(
            EncoderFacts.of(LunaConfig(**LunaConfig.published), LunaConfig.published_normalization)
        )
    with pytest.raises(ConfigError, match=r"objective mae masks patches.*encoder\.patch_norm: window; set"):
        MaeConfig().check_encoder(EncoderFacts.of(LabramConfig(patch_norm="window")))


def test_a_phase_is_not_told_to_change_what_its_start_decides() -> None:
    expected = r"; start from an encoder with normalization\.name: fixed_scale, or set objective\.allow_leaks: true to"
    with pytest.raises(ValidationError, match=expected):
        PretrainParams(normalization={"name": "zscore"}, n_steps=1, start="previous")


def test_an_objective_that_is_built_by_hand_asks_too(caplog: pytest.LogCaptureFixture) -> None:
    subject = Subject.of(Case("cbramod", "cbramod", {"n_layers": 1, **CbramodConfig.published}))
    with pytest.raises(ConfigError, match=r"set encoder\.patch_norm: patch"):
        Masked(MaskedConfig(), WindowBackbone(subject.encoder(), subject.spec()))
    with caplog.at_level(logging.WARNING, "eegfm"):
        Masked(MaskedConfig(allow_leaks=True), WindowBackbone(subject.encoder(), subject.spec()))
    assert [r.message for r in caplog.records] == [
        "masked patches leak into every token, as allowed: encoder.patch_norm: window"
    ]
