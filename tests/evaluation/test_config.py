import pytest
from pydantic import ValidationError

from eegfm.evaluation.config import ProbeParams


def test_folds_are_persons_or_a_number():
    assert ProbeParams(task="eyes").folds == "leave_one_person_out"
    assert ProbeParams.model_validate({"task": "eyes", "folds": 5}).folds == 5
    with pytest.raises(ValidationError, match="leave_one_person_out"):
        ProbeParams.model_validate({"task": "eyes", "folds": "leave_one_window_out"})
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        ProbeParams.model_validate({"task": "eyes", "folds": 1})


@pytest.mark.parametrize("lambdas", [[], [0.0], [-1.0], [float("nan")]])
def test_penalties_are_positive(lambdas):
    with pytest.raises(ValidationError, match="lambdas"):
        ProbeParams(task="eyes", lambdas=lambdas)
