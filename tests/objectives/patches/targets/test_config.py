"""One target or several, by name or with options."""

import pytest
from pydantic import ValidationError

from eegfm.objectives.config import MaeConfig, MaskedConfig
from eegfm.objectives.patches.targets.config import LogSpectrumTarget, SignalTarget


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("signal", (SignalTarget(),)),
        ({"name": "log_spectrum", "minus": "slope"}, (LogSpectrumTarget(minus="slope"),)),
        (["signal", {"name": "log_spectrum", "weight": 0.5}], (SignalTarget(), LogSpectrumTarget(weight=0.5))),
        ((SignalTarget(weight=2),), (SignalTarget(weight=2),)),
        (SignalTarget(), (SignalTarget(),)),
    ],
)
def test_a_name_options_or_a_list_of_either(written: object, expected: object) -> None:
    config = MaskedConfig(target=written)
    assert config.target == expected
    assert MaskedConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_log_spectrum_is_the_default() -> None:
    assert MaeConfig().target == MaskedConfig().target == (LogSpectrumTarget(),)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"target": "sgnal"}, "'sgnal' found using 'name' does not match any of the expected tags: 'signal'"),
        ({"target": []}, "at least 1 item"),
        ({"target": 3}, "valid tuple"),
        ({"target": {"name": "signal", "minus": "window"}}, "Extra inputs"),
        ({"target": ["signal", {"name": "signal", "weight": 2}]}, "target signal is listed twice"),
        ({"target": {"name": "signal", "weight": 0}}, "greater than 0"),
        ({"target": "codes", "loss": "l1"}, "loss is not used with target codes"),
        (
            {"target": "codes", "augment": [{"name": "gain"}], "target_from": "shown"},
            "target codes are those of untouched windows, and target_from is shown; set target_from: untouched",
        ),
    ],
)
def test_nonsense_is_refused(choices: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        MaskedConfig(**choices)


def test_spectra_without_different_offsets_may_be_predicted_at_once() -> None:
    target = [{"name": "log_spectrum", "minus": minus} for minus in ("none", "window", "slope")]
    labels = [each.label for each in MaskedConfig(target=target).target]
    assert labels == ["log_spectrum", "log_spectrum_minus_window", "log_spectrum_minus_slope"]
