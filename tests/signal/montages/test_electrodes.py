from typing import get_args

import mne
import numpy as np
import pytest

from eegfm.errors import RecordingError
from eegfm.signal.montages.electrodes import clean_label, duplicate_electrodes, resolve_channels
from eegfm.signal.montages.layouts import MNE_MONTAGES, MODERN_NAMES, Layout, electrode_table
from eegfm.signal.open import open_reader

TEN_TWENTY = ["Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz"]
TEN_TWENTY += ["C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2"]
OLD_TEN_TWENTY = ["FP1", "FP2", "F7", "F3", "FZ", "F4", "F8", "T3", "C3", "CZ"]
OLD_TEN_TWENTY += ["C4", "T4", "T5", "P3", "PZ", "P4", "T6", "O1", "O2"]

CLEAN = {
    "Fc5.": "FC5",
    "Cz..": "Cz",
    "T10.": "T10",
    "Iz..": "Iz",
    "Po7.": "PO7",
    "EEG FP1-REF": "Fp1",
    "EEG Fp1": "Fp1",
    "EEG T3-LE": "T7",
    "EEG T4-REF": "T8",
    "EEG T5-LE": "P7",
    "T6": "P8",
    "EEG A1-REF": "A1",
    "EEG OZ-REF": "Oz",
    "eeg cz-ref": "Cz",
    "  Fpz ": "Fpz",
    "AFF5h": "AFF5h",
    "E1": "E1",
    "E001": "E1",
    "E128": "E128",
    "E129": "Cz",
    "E130": "E130",
    "E256": "E256",
    "E257": "Cz",
}
NOT_ELECTRODES = [
    "EEG A2-A1", "ECG ECG", "EEG EKG1-REF", "EEG EKG-REF", "ECG EKG-REF", "PHOTIC-REF", "IBI", "BURSTS", "SUPPR",
    "EEG ROC-REF", "EEG LOC-REF", "EMG-REF", "EEG RESP1-REF", "RESP ABDOMEN-REF", "PULSE RATE", "EOG1", "VEOG",
    "Status", "FP1-F7", "EEG Fpz-Cz", "DIG DTRIG", "EXG1",
    # Eyes: outer, upper and lower canthus.
    "EEG LUC-REF", "EEG LUC-LE", "EEG RLC-LE", "ROC", "LLC", "RUC",
    # Electrodes without a place in the 10-05 system: anterior temporal, sphenoidal, nasopharyngeal.
    "EEG T1-REF", "EEG T2-LE", "T1", "EEG SP1-REF", "EEG SP2-LE", "EEG PG1-REF", "EEG PG2-LE",
    # The two bipolar files of TUEG.
    "EEG FP1-F7", "EEG T1-T2", "EEG T2-T4", "EEG T3-T1", "EEG CZ-PZ",
    "EEG EKG-LE", "PHOTIC PH", "DC1-DC", "DC8-DC", "EMG-REF", "EEG RESP2-REF", "SPO2", "ETCO2", "CO2WAVE", "PULSE",
    "EVENTS/MARKERS",
]  # fmt: skip
NOT_UNDERSTOOD = [
    "EEG 20-REF", "EEG 128-REF", "EEG 31-LE", "EEG Channel-1", "E258", "E0", "B1", "A3", "",
    # Not explained in the list of labels that TUH publishes, not even whether it is an electrode.
    "EEG C3P-REF", "EEG C4P-REF", "EEG X1-REF", "EEG 1X10_LAT_01-", "EEG 25+-REF", "EEG MARK1", "EEG E",
    "EEG T1-XYZ", "EEG FP1-.", "sine 10Hz", "FP", "Fp11", "T11", "LOCUS", "SP3",
]  # fmt: skip


@pytest.mark.parametrize(("label", "name"), CLEAN.items())
def test_labels_of_all_known_styles_are_cleaned(label, name):
    assert clean_label(label) == name


@pytest.mark.parametrize("label", NOT_ELECTRODES)
def test_what_is_known_to_be_no_single_electrode_is_left_out(label):
    assert clean_label(label) is None
    resolved = resolve_channels(["Cz", label], "1005")
    assert (resolved.left_out, resolved.not_understood) == ((label,), ())


@pytest.mark.parametrize("label", ["EDF Annotations", "BDF Annotations", "EDF ANNOTATIONS"])
def test_lists_of_notes_are_no_channels(label):
    resolved = resolve_channels(["Cz", label], "1005")
    assert (resolved.left_out, resolved.not_understood) == ((), ())


@pytest.mark.parametrize("label", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_named_and_never_guessed(label):
    assert clean_label(label) is None
    resolved = resolve_channels(["Cz", label], "1005")
    assert (resolved.left_out, resolved.not_understood) == ((), (label,))


def test_a_typical_file_of_tuh_gives_21_electrodes_and_names_the_rest():
    known = [f"EEG {name}-REF" for name in (*OLD_TEN_TWENTY, "A1", "A2")]
    rest = ["EEG ROC-REF", "EEG LOC-REF", "EEG EKG1-REF", "EEG T1-REF", "EEG T2-REF", "PHOTIC-REF", "IBI", "BURSTS"]
    unknown = ["EEG C3P-REF", "EEG C4P-REF", "EEG 31-REF", "EEG 32-REF"]
    labels = [*rest, *known, *unknown]
    resolved = resolve_channels(labels, "1005", meaning_of_ref="average")
    assert {labels[pick] for pick in resolved.picks} == set(known)
    assert resolved.montage.reference == "average"
    assert sum(resolved.montage.is_scalp) == 19
    assert (resolved.left_out, resolved.not_understood) == (tuple(rest), tuple(unknown))


def test_every_label_of_eegmmidb_is_an_electrode(shared_data):
    labels = open_reader(shared_data / "eegmmidb" / "S001" / "S001R01.edf").header.labels
    resolved = resolve_channels(labels, "1005")
    assert resolved.montage.n_channels == 64
    assert (resolved.left_out, resolved.not_understood) == ((), ())
    for pick, name in zip(resolved.picks, resolved.montage.channel_names, strict=True):
        assert labels[pick].rstrip(".").upper() == name.upper()


def test_every_label_of_eegmat_is_known(shared_data):
    labels = open_reader(shared_data / "eegmat" / "Subject04_2.edf").header.labels
    resolved = resolve_channels(labels, "1005", reference="linked_ears")
    assert sorted(resolved.montage.channel_names) == sorted(TEN_TWENTY)
    assert resolved.left_out == ("EEG A2-A1", "ECG ECG")
    assert resolved.not_understood == ()
    assert resolved.montage.reference == "linked_ears"


def test_all_129_of_the_hydrocel_net_in_order():
    labels = [f"E{i + 1}" for i in range(128)] + ["Cz"]
    resolved = resolve_channels(labels[::-1], "gsn129")
    assert resolved.montage.channel_names == tuple(labels)
    assert resolved.picks == tuple(range(128, -1, -1))
    assert resolved.montage.reference == "Cz"
    assert all(resolved.montage.is_scalp)


def test_layouts_do_not_mix():
    resolved = resolve_channels(["E1", "Fp1", "Cz"], "gsn129")
    assert (resolved.montage.channel_names, resolved.not_understood) == (("E1", "Cz"), ("Fp1",))
    resolved = resolve_channels(["E1", "Fp1", "Cz"], "1005")
    assert (resolved.montage.channel_names, resolved.not_understood) == (("Fp1", "Cz"), ("E1",))


def test_permuted_files_share_one_montage():
    labels = [f"EEG {name}-REF" for name in OLD_TEN_TWENTY]
    order = np.random.default_rng(0).permutation(len(labels))
    first, second = resolve_channels(labels, "1005"), resolve_channels([labels[i] for i in order], "1005")
    assert first.montage == second.montage
    assert [labels[i] for i in first.picks] == [labels[order[i]] for i in second.picks]
    modern = resolve_channels([f"EEG {name}-REF" for name in TEN_TWENTY], "1005")
    assert modern.montage == first.montage


def test_ears_take_no_part_in_the_average():
    montage = resolve_channels(["A1", "A2", "M1", "T9", "Cz"], "1005").montage
    scalp = [name for name, keep in zip(montage.channel_names, montage.is_scalp, strict=True) if keep]
    assert sorted(scalp) == ["Cz", "T9"]


@pytest.mark.parametrize(
    ("labels", "reference", "flags"),
    [
        (["EEG FP1-REF", "EEG CZ-Ref"], "unknown", ("reference_unknown",)),
        (["EEG FP1-AVG", "EEG CZ-avg"], "average", ()),
        (["EEG FP1-LE", "EEG CZ-LE"], "linked_ears", ()),
        (["Fp1-A1A2", "Cz-A1+A2"], "linked_ears", ()),
        (["EEG Fp1", "EEG Cz"], "unknown", ()),
        (["EEG FP1-REF", "Cz"], "unknown", ("reference_unknown",)),
        (["EEG FP1-LE", "Cz"], "unknown", ("reference_unknown",)),
    ],
)
def test_the_reference_is_inferred_unless_given(labels, reference, flags):
    resolved = resolve_channels(labels, "1005")
    assert (resolved.montage.reference, resolved.flags) == (reference, flags)
    assert resolve_channels(labels, "1005", reference="unknown").flags == ()
    resolved = resolve_channels(labels, "1005", reference="Cz")
    named = {"-LE": "linked_ears", "-AVG": "average", "-A1A2": "linked_ears"}
    differs = {f"reference_differs:{name}" for ending, name in named.items() if labels[0].endswith(ending)}
    assert (resolved.montage.reference, set(resolved.flags)) == ("Cz", differs)


@pytest.mark.parametrize("meaning", ["average", "linked_ears"])
def test_ref_means_what_the_corpus_says(meaning):
    resolved = resolve_channels(["EEG FP1-REF", "EEG CZ-REF"], "1005", meaning_of_ref=meaning)
    assert (resolved.montage.reference, resolved.flags) == (meaning, ())
    assert resolve_channels(["EEG FP1-LE"], "1005", meaning_of_ref="average").montage.reference == "linked_ears"
    assert resolve_channels(["E1-REF", "Cz-REF"], "gsn129").montage.reference == "unknown"


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        (["ECG", "EMG1"], "no_eeg"),
        (["T3", "T7"], "duplicate_label"),
        (["EEG FP1-REF", "EEG Fp1-LE"], "duplicate_label"),
        (["EEG FP1-REF", "EEG CZ-LE"], "mixed_references"),
        (["EEG FP1-REF", "EEG CZ-AVG"], "mixed_references"),
    ],
)
def test_labels_that_cannot_be_trusted_are_rejected(labels, code):
    with pytest.raises(RecordingError) as caught:
        resolve_channels(labels, "1005")
    assert caught.value.code == code


def test_radial_names_of_biosemi_are_not_taken_for_the_ten_twenty_system():
    labels = [f"{group}{i + 1}" for group in "ABCD" for i in range(32)]
    with pytest.raises(RecordingError) as caught:
        resolve_channels(labels, "1005")
    assert caught.value.code == "no_eeg"


def test_positions_are_metres_in_the_head_frame():
    table = electrode_table("1005")
    x, y, z = np.array([table[name].position_m for name in ("T8", "Fpz", "Cz")])
    assert x[0] > 0.07
    assert y[1] > 0.09
    assert z[2] > 0.11
    left, right = np.array(table["C3"].position_m), np.array(table["C4"].position_m)
    assert left[0] < 0 < right[0]
    assert 0.05 < np.linalg.norm(right - left) < 0.15


def test_tables_hold_each_place_once_by_its_modern_name():
    assert {"T7", "T8", "P7", "P8"} <= set(electrode_table("1005"))
    assert not {"T3", "T4", "T5", "T6"} & set(electrode_table("1005"))


def test_positions_equal_what_mne_gives_a_recording():
    names = list(resolve_channels(["O2", "Fp1", "T7", "Cz"], "1005").montage.channel_names)
    info = mne.create_info(names, 100.0, "eeg").set_montage("colin27_1005")
    montage = resolve_channels(names, "1005").montage
    np.testing.assert_allclose(montage.positions(), [ch["loc"][:3] for ch in info["chs"]], atol=1e-6)


# Families of MNE's montages: BioSemi's radial names, HydroCel nets, and all that use names of the 10-20 system.
LAYOUTS = [layout for layout in get_args(Layout) if layout != "1005"]
TEN_TWENTY_MONTAGES = ["fsaverage_1005", "fsaverage_1010", "fsaverage_1020", "colin27_1005", "colin27_1020"]
TEN_TWENTY_MONTAGES += ["spherical_1005", "spherical_1010", "spherical_1020", "easycap-M1", "brainproducts-RNP-BA-128"]
TEN_TWENTY_MONTAGES += ["biosemi16", "biosemi32", "biosemi64"]
# Places that the 10-05 table does not hold: below the inion's row, and between nasion and Fpz.
WITHOUT_PLACE = {"O9", "O10", "N1", "N1h", "N2", "N2h", "NFp1", "NFp1h", "NFp2", "NFp2h", "NFpz"}


def mne_positions(montage: str) -> dict[str, np.ndarray]:
    """As a recording gets them: through ``set_montage`` and the head frame of its fiducials."""
    names = mne.channels.make_standard_montage(montage).ch_names
    info = mne.create_info(names, 100.0, "eeg").set_montage(montage)
    return {channel["ch_name"]: channel["loc"][:3] for channel in info["chs"]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_name_of_every_net_and_cap_is_where_mne_has_it(layout):
    expected = mne_positions(MNE_MONTAGES[layout])
    order = np.random.default_rng(0).permutation(len(expected))
    labels = [list(expected)[k] for k in order]
    resolved = resolve_channels(labels, layout)
    assert (resolved.left_out, resolved.not_understood) == ((), ())
    assert resolved.montage.channel_names == tuple(expected) == tuple(labels[pick] for pick in resolved.picks)
    np.testing.assert_allclose(resolved.montage.positions(), np.stack(list(expected.values())), atol=1e-6)


@pytest.mark.parametrize("montage", TEN_TWENTY_MONTAGES)
def test_every_name_of_the_ten_twenty_family_is_one_place_or_flagged(montage):
    table, expected = electrode_table("1005"), mne_positions("colin27_1005")
    for name in mne.channels.make_standard_montage(montage).ch_names:
        for label in (name, name.upper(), f"EEG {name}-REF"):
            found = clean_label(label)
            assert (found is None) == (name in WITHOUT_PLACE)
            if found:
                np.testing.assert_allclose(table[found].position_m, expected[name], atol=1e-6)


def test_both_names_of_a_place_stand_for_it():
    expected = mne_positions("colin27_1005")
    for old, new in MODERN_NAMES.items():
        np.testing.assert_array_equal(expected[old], expected[new])
        assert clean_label(old) == clean_label(new) == new
        assert new in resolve_channels([old, "Cz"], "biosemi64").montage.channel_names


def test_the_vertex_of_a_net_is_the_one_after_its_last_electrode():
    for layout, label in {"gsn32": "E33", "gsn65": "E65", "gsn129": "E129", "gsn257": "E257"}.items():
        resolved = resolve_channels(["E1", label], layout)
        assert (resolved.montage.channel_names, resolved.montage.reference) == (("E1", "Cz"), "Cz")
    for layout in ("gsn64", "gsn128", "gsn256"):
        assert resolve_channels(["E1", "Cz"], layout).not_understood == ("Cz",)
    assert resolve_channels(["E129", "Cz"], "gsn257").montage.channel_names == ("E129", "Cz")


def test_e129_beside_e130_is_not_the_vertex():
    assert duplicate_electrodes(["E1", "E129", "Cz"]) == ("Cz",)
    assert duplicate_electrodes(["E1", "E129", "E130", "Cz"]) == ()
    assert duplicate_electrodes(["E1", "E129", "E130", "E0129", "T3", "T7"]) == ("E129", "T7")


def test_radial_electrodes_named_as_ears_are_on_the_scalp():
    montage = resolve_channels(mne.channels.make_standard_montage("biosemi128").ch_names, "biosemi128").montage
    assert all(montage.is_scalp)
    assert montage.positions()[0, 2] == montage.positions()[:, 2].max()  # A1 is the vertex


@pytest.mark.parametrize("layout", ["1005", "biosemi16", "biosemi64", "gsn129"])
@pytest.mark.parametrize("radial", ["biosemi128", "biosemi160", "biosemi256"])
def test_radial_names_mean_nothing_in_another_system(layout, radial):
    labels = mne.channels.make_standard_montage(radial).ch_names
    with pytest.raises(RecordingError) as caught:
        resolve_channels([*labels, "EXG1", "Status"], layout)
    assert caught.value.code == "no_eeg"


def test_names_of_the_ten_twenty_system_mean_nothing_among_radial_ones():
    with pytest.raises(RecordingError) as caught:
        resolve_channels([*TEN_TWENTY, "A1", "A2"], "biosemi128")
    assert caught.value.code == "no_eeg"
    # One name that both systems have says nothing about the others.
    with pytest.raises(RecordingError):
        resolve_channels(["C3", "C4"], "biosemi128")
    labels = mne.channels.make_standard_montage("biosemi128").ch_names
    resolved = resolve_channels([*labels, "M1", "Fp1", "EXG1"], "biosemi128")
    assert (resolved.montage.n_channels, resolved.not_understood, resolved.left_out) == (128, ("M1", "Fp1"), ("EXG1",))


def test_one_radial_electrode_twice_is_refused():
    labels = mne.channels.make_standard_montage("biosemi160").ch_names
    with pytest.raises(RecordingError) as caught:
        resolve_channels([*labels, "B7"], "biosemi160")
    assert caught.value.code == "duplicate_label"
