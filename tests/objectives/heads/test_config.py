"""Configuration of auxiliary heads."""

import pytest
from pydantic import ValidationError

from eegfm.objectives.config import AuxiliaryObjectiveConfig, ContrastiveConfig, MaskedConfig
from eegfm.objectives.heads.config import AuxiliaryConfig, HeadConfig


def test_defaults_are_those_of_the_predecessors() -> None:
    found = {head.name: (head.kind, head.weight) for head in AuxiliaryConfig().heads}
    assert found == {
        "age": ("regression", 1.0),
        "sex": ("classes", 0.5),
        "p_factor": ("regression", 1.0),
        "attention": ("regression", 0.5),
        "internalizing": ("regression", 0.5),
        "externalizing": ("regression", 0.5),
    }
    assert {(head.hidden, head.dropout) for head in AuxiliaryConfig().heads} == {(128, 0.1)}


def test_a_name_is_short_for_a_head() -> None:
    config = AuxiliaryConfig.model_validate({"heads": ["age", {"name": "epilepsy", "kind": "classes", "weight": 2}]})
    assert config.heads[0] == HeadConfig.model_validate({"name": "age"})
    assert config.kinds == {"age": "regression", "epilepsy": "classes"}
    assert AuxiliaryConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (["age", {"name": "age", "weight": 2}], "age is listed twice"),
        ([], "at least 1"),
        (["label"], "'label' names the answer of a task"),
        (["visible_mean"], "logs of its head, such as visible_mean_loss, would overwrite"),
        (["a.b"], "match pattern"),
        ([{"name": "age", "kind": "number"}], "'regression' or 'classes'"),
    ],
)
def test_wrong_heads_are_refused(heads: list[object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AuxiliaryConfig.model_validate({"heads": heads})


def test_every_objective_can_have_heads() -> None:
    assert MaskedConfig().labels == {}
    for config in (MaskedConfig, ContrastiveConfig):
        assert set(config(auxiliary={"heads": ["sex"]}).labels) == {"sex"}
    assert set(AuxiliaryObjectiveConfig().labels) == set(AuxiliaryConfig().kinds)
