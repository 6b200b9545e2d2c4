import pytest
from pydantic import ValidationError

from eegfm.windows.config import CueCut, MixtureParams, RecordingLabelCut, WindowParams


def test_cut_is_chosen_by_name():
    params = WindowParams.model_validate({"cuts": {"eyes": {"name": "cues"}}})
    assert isinstance(params.cuts["eyes"], CueCut)


def test_unknown_cut_lists_the_menu():
    with pytest.raises(ValidationError, match="'fixed', 'cues', 'recording_label'"):
        WindowParams.model_validate({"cuts": {"eyes": {"name": "cue"}}})


def test_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="stride"):
        WindowParams.model_validate({"cuts": {"a": {"name": "fixed", "length_s": 1, "stride_s": 1, "stride": 2}}})


@pytest.mark.parametrize("weight", [0.0, -0.3, float("nan"), float("inf")])
def test_weight_must_be_positive_and_finite(weight):
    with pytest.raises(ValidationError, match=r"weights\.hbn"):
        MixtureParams(weights={"hbn": weight})


@pytest.mark.parametrize("length_s", [0.0, -1.0, float("nan"), float("inf")])
def test_length_must_be_positive_and_finite(length_s):
    with pytest.raises(ValidationError, match="length_s"):
        CueCut(length_s=length_s)


def test_one_value_cannot_stand_for_two_labels():
    with pytest.raises(ValidationError, match="R01"):
        RecordingLabelCut(column="run", classes={"open": ["R01"], "closed": ["R02", "R01"]}, length_s=2, stride_s=2)
