import pytest
from pydantic import ValidationError

from eegfm.evaluation.config import ProbeParams


def test_folds_are_part_of_the_split():
    with pytest.raises(ValidationError, match="folds"):
        ProbeParams.model_validate({"task": "eyes", "folds": 5})


@pytest.mark.parametrize("lambdas", [[], [0.0], [-1.0], [float("nan")]])
def test_penalties_are_positive(lambdas):
    with pytest.raises(ValidationError, match="lambdas"):
        ProbeParams(task="eyes", lambdas=lambdas)
