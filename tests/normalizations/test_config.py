"""What can be chosen, and what cannot."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.normalizations.config import FixedScaleConfig, Leak, NormalizationBase, NormalizationConfig, ZscoreConfig
from eegfm.training.config import PretrainParams

MENU: TypeAdapter[NormalizationBase] = TypeAdapter(NormalizationConfig)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"name": "minmax"}, r"'fixed_scale', 'zscore', 'robust', 'window_scale', 'exponential_moving'"),
        ({"name": "zscore", "scale_uv": 3.0}, r"Extra inputs"),
        ({"name": "fixed_scale", "scale_uv": 0.0}, r"greater than 0"),
        ({"name": "zscore", "floor_uv": 0.0}, r"greater than 0"),
        ({"name": "robust", "low": 0.8}, r"low 0\.8 is not below high 0\.75; quartiles are 0\.25 and 0\.75"),
        ({"name": "robust", "high": 1.5}, r"less than or equal to 1"),
        ({"name": "fixed_scale", "offset_uv": float("nan")}, r"offset_uv"),
        ({"name": "exponential_moving", "time_constant_s": -1.0}, r"greater than 0"),
    ],
)
def test_what_cannot_work_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MENU.validate_python(choices)


def test_a_scale_is_what_objectives_count_in() -> None:
    assert FixedScaleConfig(scale_uv=50.0).objective_scale_uv == 50.0
    assert ZscoreConfig().objective_scale_uv == 30.0


def test_statistics_are_a_leak() -> None:
    assert FixedScaleConfig().leaks == ()
    assert ZscoreConfig().leaks == (Leak("normalization.name", "zscore", "fixed_scale"),)


def test_the_encoder_chooses_where_the_parameters_do_not() -> None:
    """The identity of a run says which it is: a default that changes is another run."""
    labram = PretrainParams(encoder={"name": "labram"}, n_steps=1)
    assert labram.chosen_normalization == FixedScaleConfig(scale_uv=100.0, clip=None)
    said = PretrainParams(
        encoder={"name": "labram"}, normalization={"name": "fixed_scale", "scale_uv": 100.0, "clip": None}, n_steps=1
    )
    assert said.identity() == labram.identity()
    other = PretrainParams(encoder={"name": "labram"}, normalization={"name": "fixed_scale"}, n_steps=1)
    assert other.identity() != labram.identity()
    assert other.identity()["normalization"] == FixedScaleConfig().model_dump(mode="json")
