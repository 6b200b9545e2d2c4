"""Every fold and seed has an encoder of its own name, and the protocol says which is which."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from eegfm.jobs.finetune.config import FinetuneParams
from eegfm.jobs.finetune.encoders import described_encoders, encoders_of


def planned(divisions: list[str], params: FinetuneParams, models: tuple[str, ...] = ("finetuned", "eegnet")) -> Any:
    trainings = [
        SimpleNamespace(model=SimpleNamespace(name=model), division=division, seed=seed)
        for division in (SimpleNamespace(name=name, is_fold=name != "split") for name in divisions)
        for seed in params.seeds
        for model in models
    ]
    return cast(Any, SimpleNamespace(task=SimpleNamespace(key="hbn.eyes"), trainings=trainings, params=params))


def trained(plan: Any) -> Any:
    """In another order than planned; what stands for a checkpoint says whose it is."""
    return [
        SimpleNamespace(**vars(one), result=SimpleNamespace(checkpoint=(one.model.name, one.division.name, one.seed)))
        for one in reversed(plan.trainings)
    ]


@pytest.mark.parametrize(
    ("divisions", "seeds", "names"),
    [
        (["split"], (4,), ["hbn.eyes"]),
        (["split"], (4, 2), ["hbn.eyes", "hbn.eyes@seed_2"]),
        (["fold 0", "fold 1"], (0,), ["hbn.eyes", "hbn.eyes@fold_1"]),
        (
            ["fold 0", "fold 1"],
            (0, 3),
            ["hbn.eyes", "hbn.eyes@fold_0-seed_3", "hbn.eyes@fold_1-seed_0", "hbn.eyes@fold_1-seed_3"],
        ),
    ],
)
def test_names_tell_fold_and_seed(divisions: list[str], seeds: tuple[int, ...], names: list[str]) -> None:
    plan = planned(divisions, FinetuneParams(seeds=seeds))
    found, told = encoders_of(plan, trained(plan)), described_encoders(plan)
    assert list(found) == list(told) == names
    whose = [(division, seed) for division in divisions for seed in seeds]
    assert [*found.values()] == [("finetuned", *one) for one in whose]
    assert [(one["division"], one["seed"]) for one in told.values()] == whose


def test_the_first_alone_where_that_is_asked_and_none_of_a_closed_form() -> None:
    plan = planned(["fold 0", "fold 1"], FinetuneParams(seeds=(0, 3), encoders="first"))
    assert encoders_of(plan, trained(plan)) == {"hbn.eyes": ("finetuned", "fold 0", 0)}
    closed = planned(["fold 0"], FinetuneParams(), models=("scratch", "eegnet"))
    assert encoders_of(closed, trained(closed)) == described_encoders(closed) == {}
