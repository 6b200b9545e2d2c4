import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

from edf_files import set_field, write_edf, write_tones
from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.open import open_reader

CORNER_CASES = {
    "derived/ok.edf": (),
    "derived/le_reference.edf": (),
    "derived/missing_fz_pz.edf": (),
    "derived/startdate_1985.edf": (),
    "derived/bad_startdate.edf": ("bad_start_date",),
    "derived/startdate_colons.edf": ("bad_start_date",),
    "derived/extra_bytes_at_end.edf": ("extra_bytes_at_end",),
    "derived/inverted_physical_range.edf": ("inverted_physical_range",),
    "derived/physical_range_comma.edf": ("decimal_comma",),
    "EDF.jl/test/data/bdf_test.bdf": ("no_record_onsets",),
    "EDF.jl/test/data/bdf_test.edf": ("no_record_onsets",),
    "edfio/tests/TEST_DATA/test_subsecond.edf": ("inverted_physical_range",),
    "pyedflib/pyedflib/tests/data/test_utf8.edf": ("inverted_physical_range",),
    "mne-python/mne/io/edf/tests/data/test.bdf": (),
    "mne-python/mne/io/edf/tests/data/test.edf": ("outside_digital_range",),
    "mne-python/mne/io/edf/tests/data/test_bdf_stim_channel.bdf": (),
    "mne-python/mne/io/edf/tests/data/test_edf_stim_channel.edf": (),
}


def mne_raw(path: Path) -> mne.io.BaseRaw:
    with warnings.catch_warnings():
        # MNE warns about dates and ranges that these files were chosen for.
        warnings.simplefilter("ignore")
        # Names that MNE takes for triggers are scaled as triggers unless told otherwise.
        return mne.io.read_raw(path, preload=False, verbose="error")


def assert_equals_mne(path: Path) -> None:
    reader, raw = open_reader(path), mne_raw(path)
    header = reader.header
    assert header.rate_hz == raw.info["sfreq"]
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    picks = [i for i, name in enumerate(header.labels) if kinds.get(name, "stim") != "stim"]
    assert picks
    found = reader.read_uv(0, header.n_samples, picks)
    wanted = raw.get_data(picks=[header.labels[i] for i in picks]) * 1e6
    assert found.shape == wanted.shape
    steps_uv = np.array([raw._raw_extras[0]["cal"][i] for i in picks]) * 1e6 * units_v(raw, picks)
    tolerance = np.abs(steps_uv)[:, None] / 2 + np.abs(wanted) * np.finfo(np.float32).eps
    assert (np.abs(found - wanted) <= tolerance).all()
    theirs = [(round(a["onset"], 5), a["description"]) for a in raw.annotations]
    assert [(round(a.onset_s, 5), a.text) for a in header.annotations] == theirs


def units_v(raw: mne.io.BaseRaw, picks: list[int]) -> np.ndarray:
    return np.array([np.atleast_1d(raw._raw_extras[0]["units"])[i] for i in picks])


@pytest.mark.parametrize("run", ["S001/S001R01", "S003/S003R02", "S001/S001R03"])
def test_eegmmidb_equals_mne(shared_data, run):
    assert_equals_mne(shared_data / "eegmmidb" / f"{run}.edf")


@pytest.mark.parametrize("name", ["Subject04_2", "Subject13_2"])
def test_eegmat_equals_mne(shared_data, name):
    assert_equals_mne(shared_data / "eegmat" / f"{name}.edf")


@pytest.mark.parametrize(("name", "flags"), CORNER_CASES.items())
def test_awkward_files_that_mne_reads_rightly_equal_mne(shared_data, name, flags):
    path = shared_data / "edf_corner_cases" / name
    assert_equals_mne(path)
    assert open_reader(path).header.flags == flags


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_the_rate_is_that_of_channels_called_eeg_where_no_label_names_an_electrode(shared_data, suffix):
    path = shared_data / "edf_corner_cases" / "edfio" / "tests" / "TEST_DATA" / f"short_psg.{suffix}"
    header = open_reader(path).header
    assert (header.rate_hz, header.n_samples, header.flags) == (100.0, 30_000, ("other_rates",))


def test_a_gap_splits_the_real_recording(shared_data):
    folder = shared_data / "edf_corner_cases" / "derived"
    gapped, whole = open_reader(folder / "edf_plus_d.edf"), open_reader(folder / "ok.edf")
    assert gapped.header.segments == ((0, 800, 0.0), (800, 2400, 10.0))
    assert gapped.header.flags == ("gaps",)
    for start, stop, onset_s in gapped.header.segments:
        at = round(onset_s * 160)
        np.testing.assert_array_equal(
            gapped.read_uv(start, stop, range(19)), whole.read_uv(at, at + stop - start, range(19))
        )


@pytest.mark.parametrize(("reserved", "flag"), [("EDF+D", "gaps"), ("EDF+C", "gaps_in_continuous_file")])
def test_gaps_are_found_whatever_the_header_claims(tmp_path, reserved, flag):
    path = tmp_path / "gap.edf"
    notes = [(6.25, None, b"after the gap"), (1.0, 0.5, b"before")]
    x = np.random.default_rng(0).normal(0, 20, 400)
    write_edf(path, [x], ["Cz"], 100.0, reserved=reserved, onsets_s=[0.25, 1.25, 6.25, 7.25], notes=notes)
    header = open_reader(path).header
    assert header.segments == ((0, 200, 0.0), (200, 400, 6.0))
    assert header.flags == (flag,)
    assert [(a.onset_s, a.text) for a in header.annotations] == [(0.75, "before"), (6.0, "after the gap")]
    assert [header.position_of(t) for t in (0.75, 6.0, 3.0, 8.0)] == [75.0, 200.0, None, None]


def test_a_file_declared_to_have_gaps_needs_onsets(tmp_path):
    path = tmp_path / "gap.edf"
    write_edf(path, [np.zeros(400)], ["Cz"], 100.0, reserved="EDF+D")
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "no_record_onsets"


def test_a_zero_filled_tail_is_found_by_its_missing_onsets(tmp_path):
    path = tmp_path / "zeros.edf"
    write_edf(path, [np.ones(1000)], ["Cz"], 100.0, reserved="EDF+C", onsets_s=np.arange(10.0))
    data = path.read_bytes()
    path.write_bytes(data[:-1000] + bytes(1000))
    with pytest.raises(RecordingError) as caught:
        open_reader(path)
    assert caught.value.code == "damaged_records"


@pytest.mark.parametrize("other_hz", [500.0, 1.0])
def test_another_rate_beside_it_leaves_the_eeg_bit_equal(tmp_path, other_hz):
    rng = np.random.default_rng(1)
    eeg = list(rng.normal(0, 30, (2, 1000)))
    alone, mixed = tmp_path / "alone.edf", tmp_path / "mixed.edf"
    write_edf(alone, eeg, ["C3", "C4"], 100.0)
    signals = [eeg[0], rng.normal(0, 30, int(10 * other_hz)), eeg[1]]
    write_edf(mixed, signals, ["C3", "ECG", "C4"], [100.0, other_hz, 100.0])
    reader = open_reader(mixed)
    assert reader.header.rate_hz == 100.0
    assert reader.header.channel_rates_hz == (100.0, other_hz, 100.0)
    assert reader.header.flags == ("other_rates",)
    np.testing.assert_array_equal(reader.read_uv(0, 1000, [0, 2]), open_reader(alone).read_uv(0, 1000, [0, 1]))
    with pytest.raises(RecordingError) as caught:
        reader.read_uv(0, 10, [1])
    assert caught.value.code == "mixed_rates"


@pytest.mark.parametrize(("bits", "suffix"), [(16, ".bdf"), (24, ".edf")])
def test_swapped_extensions_are_read_for_what_they_are(tmp_path, bits, suffix):
    path = tmp_path / f"x{suffix}"
    truth = write_tones(path, ["Cz"], [10.0], 4.0, 100.0, bits=bits)
    reader = open_reader(path)
    assert reader.header.flags == ("extension_mismatch",)
    np.testing.assert_allclose(reader.read_uv(0, 400, [0]), truth, rtol=1e-6, atol=1e-5)


def test_annotations_are_lost_with_their_label_and_that_is_said(tmp_path):
    path = tmp_path / "x.edf"
    truth = write_edf(path, [np.arange(400.0)], ["Cz"], 100.0, reserved="EDF+C", notes=[(1.0, None, b"eyes closed")])
    set_field(path, "label", "EDF Annotatiuns", channel=1)
    reader = open_reader(path)
    assert reader.header.flags == ("no_record_onsets", "other_rates")
    np.testing.assert_allclose(reader.read_uv(0, 400, [0]), truth, rtol=1e-6)


@pytest.mark.parametrize("kind", ["EDF+C", "EDF+D"])
@pytest.mark.parametrize("wrong_s", ["2", "0.5", "7", "100"])
def test_a_record_duration_that_the_onsets_contradict_is_rejected(tmp_path, kind, wrong_s):
    path = tmp_path / "x.edf"
    onsets_s = [*range(6), *range(30, 36)]
    write_edf(path, [np.arange(1200.0)], ["Cz"], 100.0, reserved=kind, onsets_s=onsets_s)
    assert len(open_reader(path).header.segments) == 2
    set_field(path, "record duration", wrong_s)
    with pytest.raises(RecordingError, match=r"records start every 1 s") as caught:
        open_reader(path)
    assert caught.value.code == "record_duration"


@pytest.mark.parametrize("rate_hz", [256.0, 250.0, 512.0])
def test_annotations_lie_within_half_a_sample_on_both_sides_of_gaps(tmp_path, rate_hz):
    path = tmp_path / "x.edf"
    onsets_s = np.array([*np.arange(5) * 0.5, *np.arange(6) * 0.5 + 17.125])
    samples = [10, 700 if rate_hz > 500 else 400, round(5.4 * rate_hz)]
    # A sample's time: that of its record, and what it lies behind its first sample.
    times_s = [onsets_s[int(k / rate_hz / 0.5)] + k / rate_hz % 0.5 for k in samples]
    notes = [(float(f"{t:.6f}"), None, b"x") for t in times_s]
    write_edf(path, [np.zeros(round(5.5 * rate_hz))], ["Cz"], rate_hz, record_s=0.5, reserved="EDF+D",
              onsets_s=onsets_s.tolist(), notes=notes)  # fmt: skip
    header = open_reader(path).header
    assert len(header.segments) == 2
    found = [header.position_of(note.onset_s) for note in header.annotations]
    np.testing.assert_allclose(found, samples, atol=0.5)


def test_salvage_takes_the_whole_records_of_a_file_that_ends_early(tmp_path):
    path = tmp_path / "x.edf"
    rng = np.random.default_rng(0)
    truth = write_edf(path, list(rng.normal(0, 20, (3, 1000))), ["Fz", "Cz", "Pz"], 100.0, onsets_s=np.arange(10.0))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(RecordingError, match="salvage_truncated"):
        open_reader(path)
    reader = open_reader(path, ReadParams(salvage_truncated=True))
    assert reader.header.n_samples == 700
    assert reader.header.flags == ("lost_s:3", "truncated")
    np.testing.assert_allclose(reader.read_uv(0, 700, range(3)), np.stack(truth)[:, :700], rtol=1e-6, atol=1e-5)


def test_salvage_takes_a_recording_that_was_never_closed(shared_data):
    folder = shared_data / "edf_corner_cases" / "derived"
    whole = open_reader(folder / "ok.edf")
    reader = open_reader(folder / "nrec_minus_one.edf", ReadParams(salvage_truncated=True))
    assert reader.header.flags == ("truncated",)
    assert reader.header.n_samples == whole.header.n_samples
    np.testing.assert_array_equal(reader.read_uv(0, 3200, range(19)), whole.read_uv(0, 3200, range(19)))


def test_salvage_takes_nothing_where_nothing_is_whole(shared_data):
    with pytest.raises(RecordingError) as caught:
        open_reader(
            shared_data / "edf_corner_cases" / "derived" / "header_only_but_claims_20.edf",
            ReadParams(salvage_truncated=True),
        )
    assert caught.value.code == "no_records"


@pytest.mark.parametrize(("record_s", "flags"), [("1", ()), ("2", ()), ("7", ("fractional_rate",)), ("9.59375", ())])
def test_a_rate_that_is_no_whole_number_is_flagged(tmp_path, record_s, flags):
    path = tmp_path / "x.edf"
    rate_hz = 128.0 if record_s == "9.59375" else 100.0
    write_edf(path, [np.zeros(2456)], ["Cz"], rate_hz, record_s=9.59375 if rate_hz == 128.0 else 1.0)
    set_field(path, "record duration", record_s)
    assert open_reader(path).header.flags == flags
