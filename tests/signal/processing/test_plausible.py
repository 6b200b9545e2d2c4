import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.processing.plausible import check_plausible
from eegfm.signal.processing.quantize import channel_mads_uv

NAMES = ("Fp1", "Fz", "Cz", "Pz", "O1")


def blocks(sds_uv, n_blocks=4, n=3000):
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((n, len(sds_uv))) * sds_uv).astype(np.float32) for _ in range(n_blocks)]


def judge(pieces):
    return check_plausible(channel_mads_uv(pieces), NAMES)


@pytest.mark.parametrize("sd_uv", [0.6, 10.0, 150.0, 450.0])
def test_eeg_passes(sd_uv):
    assert judge(blocks([sd_uv] * 5)) == ()


@pytest.mark.parametrize("sd_uv", [0.03, 0.4, 600.0, 3e4])
def test_a_unit_that_is_wrong_for_all_channels_is_rejected(sd_uv):
    with pytest.raises(RecordingError, match="unit") as caught:
        judge(blocks([sd_uv] * 5))
    assert caught.value.code == "implausible_amplitude"


def test_single_channels_are_flagged():
    found = judge(blocks([2e4, 20, 20, 0.1, 20]))
    assert found == ("implausible_amplitude:Fp1", "implausible_amplitude:Pz")


def test_most_channels_out_of_range_are_too_many_whatever_their_median():
    with pytest.raises(RecordingError, match="3 of 5"):
        judge(blocks([0.1, 0.1, 20, 2e4, 20.0]))


def test_flat_channels_have_no_say():
    assert judge(blocks([0, 0, 0, 20, 20])) == ()
    assert judge(blocks([0] * 5)) == ()
    with pytest.raises(RecordingError):
        judge(blocks([0, 0, 0, 0.1, 0.1]))


def test_artefacts_and_still_stretches_move_nothing():
    pieces = blocks([0.8] * 5)
    pieces[0][:1000] += 1e5
    for piece in pieces[2:]:
        piece[:] = 0
    assert judge(pieces) == ()


def test_leftover_samples_have_no_vote():
    leftover = np.array([[-1e4], [0], [1e4]], np.float32).repeat(50, axis=0).repeat(5, axis=1)
    assert judge([*blocks([20] * 5), *[leftover] * 9]) == ()
    assert judge(blocks([20] * 5, n_blocks=1, n=5)) == ()
