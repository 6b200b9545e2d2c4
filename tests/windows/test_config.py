"""The menu of windows and tasks."""

from typing import get_args

import pytest
from pydantic import ValidationError

from eegfm.mixture.config import MixtureParams
from eegfm.targets import TargetSpec
from eegfm.windows.config import TaskConfig, WindowConfig, WindowParams
from eegfm.windows.cutters.base import Cut
from eegfm.windows.tasks.hbn_eyes import HbnEyesTask

TASKS = get_args(TaskConfig)


def test_cut_is_chosen_by_name():
    params = WindowParams.model_validate({"cuts": {"eyes": {"name": "hbn_eyes"}}})
    assert isinstance(params.cuts["eyes"], HbnEyesTask)


def test_unknown_cut_lists_the_menu():
    with pytest.raises(ValidationError, match="'fixed', 'event_locked', 'between_events', 'trials', 'events'"):
        WindowParams.model_validate({"cuts": {"eyes": {"name": "cue"}}})


def test_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="stride"):
        WindowParams.model_validate({"cuts": {"a": {"name": "fixed", "length_s": 1, "stride_s": 1, "stride": 2}}})


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.model_fields["name"].default)
def test_every_task_names_its_source(task: type[Cut]):
    assert len(task.citation) > 20
    assert (task.__doc__ or "").strip()


@pytest.mark.parametrize(
    "task", [t for t in TASKS if not any(f.is_required() for f in t.model_fields.values())], ids=lambda t: t.__name__
)
def test_every_task_works_without_options_and_says_what_it_asks(task: type[Cut]):
    target_spec = task().target_spec
    assert isinstance(target_spec, TargetSpec)
    assert target_spec.kind != "unlabelled"
    assert bool(target_spec.classes) == (target_spec.kind in {"binary", "multiclass", "multioutput"})
    assert (len(target_spec.classes) == 2) == (target_spec.kind == "binary")
    assert bool(target_spec.unit) == (target_spec.kind == "regression")


def test_every_cut_tells_the_length_of_its_windows():
    lengths = {"length_s": 3.0, "window_s": 4.0, "crop_s": 1.5, "event_s": 0.1, "margin_s": 0.1}
    for kind in (*get_args(WindowConfig), *TASKS):
        cut = kind.model_construct(**{name: value for name, value in lengths.items() if name in kind.model_fields})
        assert cut.length_s == {"hbn_challenge_2": 1.5, "tuev": 0.3}.get(cut.name, 3.0)


def test_names_are_unique():
    names = [cut.model_fields["name"].default for cut in (*get_args(WindowConfig), *TASKS)]
    assert len(set(names)) == len(names) == 26


@pytest.mark.parametrize("weight", [0.0, -0.3, float("nan"), float("inf")])
def test_weight_must_be_positive_and_finite(weight):
    with pytest.raises(ValidationError, match=r"weights\.hbn|weights\.table\.hbn"):
        MixtureParams(weights={"hbn": weight})
