"""BioSemi's raw names: the place of each input, and files that do not fit a cap."""

import mne
import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.montages.electrodes import electrode_names, resolve_channels
from eegfm.signal.montages.layouts import CAPS, Layout
from eegfm.signal.open import open_reader

# BioSemi's drawings of its caps (biosemi.com/headcap.htm), bank by bank, eight inputs to a line.
PLUGGED: dict[Layout, str] = {
    "biosemi16": "Fp1 Fp2 F4 Fz F3 T7 C3 Cz C4 T8 P4 Pz P3 O1 Oz O2",
    "biosemi32": """
        Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz
        O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz""",
    "biosemi64": """
        Fp1 AF7 AF3 F1 F3 F5 F7 FT7 FC5 FC3 FC1 C1 C3 C5 T7 TP7
        CP5 CP3 CP1 P1 P3 P5 P7 P9 PO7 PO3 O1 Iz Oz POz Pz CPz
        Fpz Fp2 AF8 AF4 AFz Fz F2 F4 F6 F8 FT8 FC6 FC4 FC2 FCz Cz
        C2 C4 C6 T8 TP8 CP6 CP4 CP2 P2 P4 P6 P8 P10 PO8 PO4 O2""",
}
RAW = [f"{bank}{k}" for bank in "ABCDEFGHI" for k in range(1, 33)]
BESIDE = ["EXG1", "EXG2", "GSR1", "Status"]


@pytest.mark.parametrize("layout", PLUGGED)
@pytest.mark.parametrize("form", ["{}", "EEG {}", "raw {}", "1-{}", "Box-{}"])
def test_each_input_is_the_electrode_of_the_drawing(layout: Layout, form: str) -> None:
    names = PLUGGED[layout].split()
    raw = [form.format(name) for name in RAW[: len(names)]]
    order = np.random.default_rng(0).permutation(len(raw))
    labels = [*BESIDE, *(raw[k] for k in order)]
    found = resolve_channels(labels, layout)
    assert [labels[pick] for pick in found.picks] == raw
    assert list(found.montage.channel_names) == names
    assert (found.left_out, found.not_understood) == (tuple(BESIDE), ())
    info = mne.create_info(names, 100.0, "eeg").set_montage(layout)
    np.testing.assert_allclose(found.montage.positions(), [c["loc"][:3] for c in info["chs"]], atol=1e-6)
    named = resolve_channels(names, layout).montage
    assert named == found.montage if form in ("{}", "EEG {}") else named.channel_names == found.montage.channel_names


def test_numbers_may_have_zeros_in_front() -> None:
    labels = [f"a{k:02d}" for k in range(1, 17)]
    assert resolve_channels(labels, "biosemi16").montage.channel_names[4] == "F3"


@pytest.mark.parametrize("n", CAPS.values())
@pytest.mark.parametrize("layout", CAPS)
def test_the_names_of_another_cap_are_refused_and_it_is_named(layout: Layout, n: int) -> None:
    labels = [*RAW[:n], *BESIDE]
    if n == CAPS[layout]:
        assert resolve_channels(labels, layout).montage.n_channels == n
        return
    with pytest.raises(RecordingError) as caught:
        resolve_channels(labels, layout)
    assert caught.value.code == "no_eeg"
    assert caught.value.reason.startswith(f"{n} channels have BioSemi's raw names (A1 to A")
    assert f"the cap of layout {layout!r} has {CAPS[layout]}" in caught.value.reason
    assert caught.value.remedy == f"set ingest.corpus.layout: biosemi{n}, whose names these are"


@pytest.mark.parametrize("n", CAPS.values())
@pytest.mark.parametrize("layout", ["1005", "gsn129"])
def test_layouts_without_raw_names_say_which_cap_to_set(layout: Layout, n: int) -> None:
    with pytest.raises(RecordingError) as caught:
        resolve_channels([*RAW[:n], *BESIDE, "M1", "M2"], layout)
    assert caught.value.code == "no_eeg"
    assert caught.value.remedy.startswith(f"set ingest.corpus.layout: biosemi{n} if this is BioSemi's cap of {n}")


@pytest.mark.parametrize(
    ("raw", "layout", "remedy"),
    [
        (RAW[:63], "biosemi64", "for every electrode (A1: Fp1)"),
        (RAW[1:64], "biosemi64", "for every electrode (A2: AF7)"),
        (RAW[:72], "biosemi64", "for channels that are no electrodes of this cap (C1: null)"),
        (RAW[:20], "biosemi16", "(A17: null)"),
        (RAW[:129], "biosemi128", "(E1: null)"),
        ([f"{bank}{k}" for bank in "ABCD" for k in range(1, 17)], "biosemi64", "(C1: null)"),
        ([f"{bank}{k}" for bank in "ABCD" for k in range(1, 17)], "1005", "name electrodes by ingest.reading.renames"),
    ],
)
def test_names_that_fit_no_cap_are_refused(raw: list[str], layout: Layout, remedy: str) -> None:
    with pytest.raises(RecordingError) as caught:
        resolve_channels([*raw, *BESIDE], layout)
    assert caught.value.code == "no_eeg"
    assert "no cap" in caught.value.remedy
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_what_was_read_in_the_end_must_fit_the_cap() -> None:
    twice = ["1-A5", "2-A5", *RAW[:4], *RAW[5:64]]
    with pytest.raises(RecordingError) as caught:
        resolve_channels(twice, "biosemi64")
    assert caught.value.code == "no_eeg"
    assert caught.value.reason.startswith("63 channels have BioSemi's raw names (A1 to A32, B1 to B32)")
    assert caught.value.reason.endswith("; missing: A5; several labels name F3")
    with pytest.raises(RecordingError, match="; missing: A5;"):
        resolve_channels(["POL A5", *RAW[:4], *RAW[5:64]], "biosemi64", rates=[1, *[256] * 63])


def test_the_remedies_help() -> None:
    spare = ReadParams(renames=dict.fromkeys(RAW[64:72]))
    assert resolve_channels(RAW[:72], "biosemi64", reading=spare).montage.n_channels == 64
    named = ReadParams(renames=dict(zip(RAW[:63], PLUGGED["biosemi64"].split(), strict=False)))
    assert resolve_channels(RAW[:63], "biosemi64", reading=named).montage.n_channels == 63


def test_larger_caps_share_their_places_so_that_some_may_be_missing() -> None:
    assert resolve_channels(RAW[:127], "biosemi128").montage.n_channels == 127
    assert resolve_channels(RAW[3:200], "biosemi256").montage.n_channels == 197


@pytest.mark.parametrize("layout", ["biosemi64", "biosemi256"])
def test_bank_i_is_not_the_inion(layout: Layout) -> None:
    bank = RAW[256:]
    found = resolve_channels([*RAW[: CAPS[layout]], *bank], layout)
    assert (found.montage.n_channels, found.not_understood) == (CAPS[layout], tuple(bank))
    assert not {"I1", "I2"} & set(found.montage.channel_names)
    with pytest.raises(RecordingError):
        resolve_channels([*RAW[: CAPS[layout]], *bank], "1005")
    assert resolve_channels(["I1", "I2", "Oz"], "1005").montage.channel_names == ("Oz", "I1", "I2")


def test_a_real_file_with_nine_banks_has_no_inion(shared_data) -> None:
    path = shared_data / "edf_corner_cases/mne-python/mne/io/edf/tests/data/test.edf"
    labels = open_reader(path).header.labels
    assert {"A1", "H16", "I1", "I2"} <= set(labels)
    for layout in ("1005", "biosemi64", "biosemi128"):
        with pytest.raises(RecordingError, match=r"128 channels have BioSemi's raw names \(A1 to A16, B1 to B16") as e:
            resolve_channels(labels, layout)
        assert e.value.code == "no_eeg"


def test_readers_know_no_electrode_by_a_raw_name_that_could_be_another() -> None:
    # Calibrations of electrodes are compared before the layout is known.
    assert electrode_names(["B5", "POL C3", *RAW[:64]], ReadParams())[:2] == (None, None)
