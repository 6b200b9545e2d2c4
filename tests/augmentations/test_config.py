"""The menu of augmentations: names, limits, and messages."""

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.augmentations.config import AugmentationBase, AugmentationConfig
from eegfm.config import first_problem

MENU: TypeAdapter[AugmentationBase] = TypeAdapter(AugmentationConfig)
NAMES = [member.model_fields["name"].default for member in get_args(get_args(AugmentationConfig)[0])]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_defaults_and_a_round_trip(name: str) -> None:
    config = MENU.validate_python({"name": name})
    assert MENU.validate_python(config.model_dump(mode="json")) == config
    assert config.implementation.startswith(f"eegfm.augmentations.{name}:")
    assert config.keeps_channels == (name != "channel_subset")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"name": "gian"}, "'gain', 'channel_gain'"),
        ({"name": "gain", "sd": 1.0}, "sd: Extra inputs"),
        ({"name": "gain", "log_sd": 0}, "log_sd: Input should be greater than 0"),
        ({"name": "gain", "log_sd": 50}, "log_sd: Input should be less than or equal to 3"),
        ({"name": "channel_dropout", "ratio": 1.0}, "ratio: Input should be less than 1"),
        ({"name": "channel_subset", "n_channels": 0}, "n_channels: Input should be greater than 0"),
        ({"name": "channel_subset", "ratio": 1.5}, "ratio: Input should be less than or equal to 1"),
        ({"name": "time_shift", "edges": "zero"}, "edges: Input should be 'circular' or 'reflect'"),
        ({"name": "noise", "color": "brown"}, "color: Input should be 'white' or 'pink'"),
        ({"name": "band_stop", "low_hz": 30, "high_hz": 20}, "low_hz 30 is above high_hz 20; exchange them"),
        ({"name": "band_stop", "min_width_hz": 9}, "min_width_hz 9 is above max_width_hz 4; exchange them"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(said: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as error:
        MENU.validate_python(said)
    assert expected in first_problem(error.value)
