"""Choices of schedules that cannot work are one line each."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.errors import ConfigError
from eegfm.training.config import PretrainParams
from eegfm.training.schedules.config import ScheduleConfig, WarmupCosineConfig
from eegfm.training.schedules.length import RunLength
from eegfm.training.schedules.warmed import ScheduleBase

SCHEDULES: TypeAdapter[ScheduleBase] = TypeAdapter(ScheduleConfig)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "warmup_cosin"}, "warmup_cosin.*'warmup_cosine', 'cosine', 'step', 'multi_step', 'plateau'"),
        (
            {"name": "warmup_cosine", "warmup_ratio": 0.1, "warmup_steps": 9},
            "warmup_ratio 0.1 and warmup_steps 9; give",
        ),
        (
            {"name": "constant", "warmup_epochs": 2, "warmup_steps": 9},
            "warmup_steps 9 and warmup_epochs 2; give exactly",
        ),
        ({"name": "trapezoid", "warmup_ratio": None}, "no warm-up; give exactly one of warmup_ratio, warmup_steps"),
        ({"name": "constant", "initial_ratio": 0.1}, "initial_ratio is not used without a warm-up; leave it out"),
        ({"name": "cosine", "warmup_ratio": 0.1}, "Extra inputs are not permitted"),
        ({"name": "multi_step"}, r"milestones\s+Field required"),
        ({"name": "multi_step", "milestones": []}, r"milestones\s+Tuple should have at least 1 item"),
        ({"name": "multi_step", "milestones": [2, 2]}, r"milestones \[2.0, 2.0\] do not rise; give epochs in rising"),
        ({"name": "plateau", "mode": "max"}, "mode 'max': the lowest val/loss is the best; set mode to min"),
        ({"name": "plateau", "mode": "max", "monitor": "val/loss/tuh"}, "lowest val/loss/tuh is the best"),
        ({"name": "plateau", "mode": "max", "monitor": "val/visible_mean_loss"}, "the lowest val/visible_mean_loss is"),
        ({"name": "plateau", "monitor": "val/r2"}, "mode 'min': the highest val/r2 is the best; set mode to max"),
        ({"name": "plateau", "monitor": "train/loss"}, "monitor 'train/loss' is no value of a validation; choose val/"),
        ({"name": "plateau", "monitor": "val/"}, "monitor 'val/' is no value of a validation"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SCHEDULES.validate_python(given)


def test_a_given_warm_up_replaces_the_default_one() -> None:
    config = WarmupCosineConfig(warmup_steps=5)
    assert config.warmup_ratio is None
    assert WarmupCosineConfig.model_validate(config.model_dump()) == config
    assert WarmupCosineConfig.model_validate(WarmupCosineConfig().model_dump()).warmup_ratio == 0.1


@pytest.mark.parametrize(
    ("given", "length", "message"),
    [
        (
            {"name": "constant", "warmup_steps": 50},
            {"n_steps": 50},
            "schedule.warmup_steps 50 is beyond the run of 50 ",
        ),
        (
            {"name": "step", "warmup_epochs": 3},
            {"n_epochs": 3},
            "schedule.warmup_epochs 3 is beyond the run of 3 epochs",
        ),
        ({"name": "step", "every_epochs": 2}, {"n_epochs": 1.5}, "schedule.every_epochs 2 is beyond the run of 1.5 "),
        (
            {"name": "multi_step", "milestones": [1, 4]},
            {"n_epochs": 4},
            "schedule.milestones 4 is beyond the run of 4 ",
        ),
        ({"name": "trapezoid", "decay_ratio": 0.95}, {}, "decay_ratio 0.95 and a warm-up of 0.1 .* at most 0.9,"),
        (
            {"name": "trapezoid", "warmup_steps": 9},
            {"n_steps": 10},
            "decay_ratio 0.2 and a warm-up of 0.9 .* at most 0.1",
        ),
        ({"name": "trapezoid", "warmup_epochs": 9}, {"n_epochs": 10}, "decay_ratio 0.2 and a warm-up of 0.9 "),
        (
            {"name": "plateau"},
            {"n_validations": 0},
            "plateau watches val/loss, but there are no validation windows; ch",
        ),
        (
            {"name": "plateau"},
            {"n_validations": 12},
            "schedule.patience 10: the rate cannot fall before validation 12, and",
        ),
    ],
)
def test_a_schedule_longer_than_the_run_is_refused(given: dict[str, Any], length: dict[str, Any], message: str) -> None:
    config = SCHEDULES.validate_python(given)
    with pytest.raises(ConfigError, match=message):
        config.check(RunLength(**length))
    if length:
        config.check(RunLength())
        config.check(RunLength(**dict.fromkeys(length, 100)))


def test_what_the_parameters_tell_is_refused_with_them() -> None:
    def params(**given: Any) -> PretrainParams:
        return PretrainParams.model_validate(given)

    params(n_epochs=3, schedule={"name": "constant", "warmup_steps": 1000})
    with pytest.raises(ValidationError, match=r"schedule\.warmup_steps 1000 is beyond the run of 1000 steps"):
        params(n_steps=1000, schedule={"name": "constant", "warmup_steps": 1000})
    with pytest.raises(ValidationError, match=r"schedule\.milestones 3 is beyond the run of 3 epochs"):
        params(n_epochs=3, schedule={"name": "multi_step", "milestones": [1, 3]})
    with pytest.raises(ValidationError, match=r"schedule\.patience 10: .* of the 10 of this run"):
        params(n_steps=1000, schedule={"name": "plateau"})
    params(n_steps=1000, schedule={"name": "plateau"}, validation_interval_steps=50)
