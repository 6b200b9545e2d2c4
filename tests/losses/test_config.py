"""The menu of losses and class weights as a user writes it."""

import pytest
from pydantic import TypeAdapter, ValidationError

from eegfm.config import first_problem
from eegfm.losses.config import ClassWeights, EffectiveNumberWeights, ListedWeights, LossConfig, NoWeights

LOSS: TypeAdapter[LossConfig] = TypeAdapter(LossConfig)
WEIGHTS: TypeAdapter[ClassWeights] = TypeAdapter(ClassWeights)


def test_class_weights_are_a_name_a_list_or_a_block() -> None:
    assert WEIGHTS.validate_python(None) == NoWeights()
    assert WEIGHTS.validate_python("sqrt_balanced").name == "sqrt_balanced"
    assert WEIGHTS.validate_python([1, 2.5]) == ListedWeights(weights=(1.0, 2.5))
    block = {"name": "effective_number", "beta": 0.9}
    assert WEIGHTS.validate_python(block) == EffectiveNumberWeights(beta=0.9)
    for config in ("balanced", [1, 2], block):
        found = WEIGHTS.validate_python(config)
        assert WEIGHTS.validate_python(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ({"name": "dice"}, "'cross_entropy', 'bce', 'focal', 'mse', 'l1', 'huber'"),
        ({"name": "bce", "label_smoothing": 0.1}, "Extra inputs are not permitted"),
        ({"name": "cross_entropy", "label_smoothing": 1.0}, "less than 1"),
        ({"name": "focal", "gamma": -1}, "greater than or equal to 0"),
        ({"name": "huber", "delta": 0}, "greater than 0"),
    ],
)
def test_mistakes_are_named(loss: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        LOSS.validate_python(loss)
    assert says in first_problem(raised.value)


@pytest.mark.parametrize("weights", ["even", [1, 0], [1, float("nan")], {"name": "effective_number", "beta": 1.0}, []])
def test_weights_that_cannot_be_are_refused(weights: object) -> None:
    with pytest.raises(ValidationError):
        WEIGHTS.validate_python(weights)
