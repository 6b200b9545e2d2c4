"""What a header says of its normalization is taken as it is, or refused."""

from typing import Any

import pytest

from eegfm.errors import CheckpointError
from eegfm.normalizations.config import FixedScaleConfig, RobustConfig
from eegfm.normalizations.said import described, normalization_of

SAID = RobustConfig(low=0.1).model_dump(mode="json")


def test_what_is_said_is_read() -> None:
    assert normalization_of(SAID) == RobustConfig(low=0.1)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, r"not on the menu: .*name"),
        ({"name": "of_tomorrow"}, r"not on the menu: .*'of_tomorrow'.*; use the eegfm that wrote it, or train"),
        ({"kind": "fixed_scale", "scale_uv": 30.0}, r"not on the menu"),
        ({"name": "zscore", "clip": None, "floor_uv": 1.0, "code": "x"}, r"not on the menu: zscore\.code"),
        ({"name": "robust"}, r"robust does not say clip, floor_uv, high, low, so .*; train or import it again"),
        ({k: v for k, v in SAID.items() if k != "high"}, r"robust does not say high"),
    ],
)
def test_what_is_not_said_or_unknown_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        normalization_of(said)
    assert "\n" not in str(caught.value)


def test_a_configuration_in_one_line() -> None:
    assert described(FixedScaleConfig()) == "fixed_scale (clip 15.0, scale_uv 30.0, offset_uv 0.0)"
