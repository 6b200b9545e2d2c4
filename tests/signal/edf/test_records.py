import numpy as np
import pytest

from edf_files import set_field, write_edf
from eegfm.signal.config import ReadParams
from eegfm.signal.edf.header import read_header
from eegfm.signal.edf.records import EdfRecords
from eegfm.signal.open import open_reader


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("record_s", [1.0, 0.5, 3.0])
def test_every_stretch_of_samples_is_calibrated_and_in_place(tmp_path, bits, record_s):
    path = tmp_path / "x.edf"
    rng = np.random.default_rng(bits)
    truth = write_edf(path, list(rng.normal(0, 80, (3, 1200))), ["F3", "Cz", "O2"], 100.0, bits=bits, record_s=record_s)
    reader = open_reader(path)
    assert reader.header.n_samples == 1200
    for start, stop in ((0, 1200), (0, 1), (99, 101), (317, 1163), (1199, 1200), (500, 500)):
        found = reader.read_uv(start, stop, [2, 0])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [truth[2][start:stop], truth[0][start:stop]], rtol=2e-7, atol=1e-6)


def test_24_bit_extremes_keep_their_sign(tmp_path):
    path = tmp_path / "x.bdf"
    x = np.array([-500.0, 500.0, 0.0, -1e-4] * 25)
    (truth,) = write_edf(path, [x], ["Cz"], 100.0, bits=24)
    np.testing.assert_allclose(open_reader(path).read_uv(0, 100, [0])[0], truth, rtol=1e-6, atol=1e-6)
    assert truth[0] == pytest.approx(-500.0)


def test_a_large_offset_keeps_the_digits_of_a_small_gain(tmp_path):
    path = tmp_path / "x.edf"
    write_edf(path, [np.zeros(100)], ["Cz"], 100.0)
    set_field(path, "physical minimum", "9000")
    set_field(path, "physical maximum", "9000.01")
    found = open_reader(path).read_uv(0, 100, [0])
    np.testing.assert_allclose(found, 9000.005, rtol=1e-7)


@pytest.mark.parametrize(("bits", "width"), [(16, "<i2"), (24, "<i4")])
def test_digital_values_are_those_of_the_bytes(tmp_path, bits, width):
    path = tmp_path / "x.edf"
    write_edf(path, list(np.random.default_rng(0).normal(0, 80, (2, 600))), ["F3", "Cz"], 100.0, bits=bits)
    header = read_header(path, ReadParams())
    data = path.read_bytes()[768:]
    n = bits // 8
    values = [int.from_bytes(data[i : i + n], "little", signed=True) for i in range(0, len(data), n)]
    wanted = np.reshape(values, (6, 2, 100))
    records = EdfRecords(path, header)
    for k, channel in enumerate(header.channels):
        found = records.digital(channel, 1, 5)
        assert found.dtype == width
        np.testing.assert_array_equal(found, wanted[1:5, k])


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("limits", [(-187500, 187500), (-200, 312), (175921.3, 175946.4), (-9999999, 9999)])
def test_microvolts_are_within_half_a_step_of_the_exact_line(tmp_path, bits, limits):
    """Float32 itself rounds large values once; beyond that no half step is lost, whatever the offset."""
    path = tmp_path / "x.edf"
    rng = np.random.default_rng(1)
    signals = list(rng.uniform(*limits, (2, 70_000)))
    truth = write_edf(path, signals, ["Fz", "Cz"], 1000.0, bits=bits, ranges=[limits] * 2)
    found = open_reader(path).read_uv(0, 70_000, [0, 1])
    step_uv = (limits[1] - limits[0]) / (2**bits - 1)
    rounding_uv = np.abs(truth) * np.finfo(np.float32).eps / 2
    assert (np.abs(found - np.stack(truth)) <= step_uv / 2 + rounding_uv).all()
