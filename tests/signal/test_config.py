import pytest
from pydantic import ValidationError

from eegfm.signal.config import SignalParams


def test_defaults_are_those_of_the_store():
    params = SignalParams()
    assert (params.rate_hz, params.low_hz, params.high_hz, params.notch_hz) == (100.0, 0.5, 45.0, None)


@pytest.mark.parametrize("change", [{"high_hz": 50.0}, {"low_hz": 46.0}, {"rate_hz": 90.0}])
def test_a_band_that_does_not_fit_is_refused_with_its_keys(change):
    with pytest.raises(ValidationError, match=r"high_hz.*rate_hz"):
        SignalParams(**change)


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        SignalParams(lowpass=3)
