import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.edf.calibration import Calibration, check_decimals, check_electrodes
from eegfm.signal.edf.fields import Fields

ONE = Calibration(1.0, -500.0, 500.0, -32768, 32767)
# As eegmat has them: each range as wide as its channel's data.
FITTED = [
    Calibration(1.0, low, high, -32768, 32767)
    for low, high in [(-77.6153, 75.32813), (-84.9175, 103.7719), (-83.9895, 91.42573), (-184.455, 141.1022)]
]


def check(*calibrations):
    fields = Fields("f.edf")
    check_electrodes(fields, {f"E{i}": each for i, each in enumerate(calibrations)})
    return fields.flags


def test_gain_and_offset_are_a_line_through_two_points():
    each = Calibration(1e3, -0.1, 0.3, -100, 300)
    for digital in (-100, 0, 17, 300):
        wanted_uv = np.interp(digital, [-100, 300], [-100.0, 300.0])
        assert digital * each.gain_uv + each.offset_uv == pytest.approx(wanted_uv)
    assert each.middle_uv == pytest.approx(100.0)


SLIPS = [
    {"unit_uv": 1e3},
    {"unit_uv": 1e-3},
    {"physical_min": -580.0},
    {"physical_min": 2.0},
    {"physical_max": 508.0},
    {"physical_max": -32768.0},
    {"physical_max": 1e9},
    {"digital_min": 0},
    {"digital_min": -32767},
    {"digital_max": 100},
]


@pytest.mark.parametrize("slip", SLIPS, ids=str)
@pytest.mark.parametrize("n_others", [1, 2, 18])
def test_one_field_that_differs_from_all_others_is_a_slip(slip, n_others):
    with pytest.raises(RecordingError) as caught:
        check(*[ONE] * n_others, ONE._replace(**slip))
    assert caught.value.code == "gain_disagrees"


@pytest.mark.parametrize("slip", SLIPS, ids=str)
def test_a_slip_is_found_beside_two_kinds_of_electrodes(slip):
    other = Calibration(1.0, -625.0, 625.0, -32768, 32767)
    assert check(*[ONE] * 5, *[other] * 5) == set()
    with pytest.raises(RecordingError, match="E10"):
        check(*[ONE] * 5, *[other] * 5, ONE._replace(**slip))


@pytest.mark.parametrize("slip", [{"digital_min": 0}, {"digital_max": 2}, {"unit_uv": 1e3}, {"physical_max": -32768.0},
                                  {"physical_max": 99999999.0}])  # fmt: skip
def test_a_slip_beside_fitted_ranges_is_found_where_something_is_shared(slip):
    assert check(*FITTED) == set()
    with pytest.raises(RecordingError, match="E4"):
        check(*FITTED, Calibration(1.0, -70.5758, 98.80813, -32768, 32767)._replace(**slip))


GENUINE = {
    "gains that differ by some tens of percent": [ONE, Calibration(1.0, -650.0, 650.0, -32768, 32767), ONE],
    "microvolts beside millivolts": [ONE, ONE, Calibration(1e3, -0.5, 0.5, -32768, 32767)],
    "a fitted range in millivolts": [*FITTED, Calibration(1e3, -0.0801, 0.0912, -32768, 32767)],
    "a still channel beside a drifting one": [
        Calibration(1.0, low, high, -32768, 32767)
        for low, high in [(175921, 175946), (-217712, -217624), (78552, 132607), (-220008, -219096)]
    ],
    "twelve bits beside sixteen": [ONE, ONE, Calibration(1.0, -500.0, 500.0, -2048, 2047)],
    "two amplifiers": [ONE] * 3 + [Calibration(1.0, -250.0, 250.0, -32768, 32767)] * 3,
    "a single electrode": [ONE],
}


@pytest.mark.parametrize("calibrations", GENUINE.values(), ids=GENUINE)
def test_what_amplifiers_do_passes(calibrations):
    assert check(*calibrations) == set()


def test_an_inverted_range_is_flagged_when_all_electrodes_have_it():
    inverted = ONE._replace(physical_min=500.0, physical_max=-500.0)
    assert check(*[inverted] * 3) == {"inverted_physical_range"}
    with pytest.raises(RecordingError):
        check(ONE, ONE, inverted)


def test_a_range_that_no_electrode_reaches_is_absurd():
    with pytest.raises(RecordingError) as caught:
        check(Calibration(1.0, 2e6, 2.0001e6, -32768, 32767))
    assert caught.value.code == "implausible_offset"
    # Wide ranges around zero and electrode potentials of some tenths of a volt are usual.
    assert check(Calibration(1.0, -5e6, 6e6, -32768, 32767)) == set()
    assert check(Calibration(1.0, 175921, 175946, -32768, 32767)) == set()


def test_a_comma_among_points_is_damage():
    def limits(low, high):
        return {"label": "Cz", "physical minimum": low, "physical maximum": high}

    for texts in ([limits("-1,5", "1,5"), limits("-2", "2,25")], [limits("-1.5", "1.5")], [limits("-500", "1,5")]):
        check_decimals(Fields("f.edf"), texts)
    with pytest.raises(RecordingError) as caught:
        check_decimals(Fields("f.edf"), [limits("-77.6153", "1,5")])
    assert caught.value.code == "mixed_decimals"
