"""Labels with words that are not understood, and labels that name the electrode of their reference."""

import pytest

from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams
from eegfm.signal.montages.electrodes import ResolvedChannels, clean_label, electrode_names, resolve_channels
from eegfm.signal.montages.labels import options_used

AMONG_WORDS = {
    "EEG Fp1-M1Ref": "Fp1", "Fp1-AV": "Fp1", "Fp1-AR": "Fp1", "Fp1-SLE": "Fp1", "Fp1-Org": "Fp1", "Fp1-Cref": "Fp1",
    "Fp1-Vref": "Fp1", "Fp1_Ref": "Fp1", "POL Fp1": "Fp1", "BrainVision RDA_Fp1": "Fp1", "EEG FP1-XYZ": "Fp1",
    "EEG.AF3": "AF3", "EEG_Fp1": "Fp1", "EEG T3-CS2": "T7", "pol o2": "O2", "O2-AV": "O2", "EEG O2 left": "O2",
    "Fp1 (uV)": "Fp1", "1:Fp1": "Fp1", "Fp1-0": "Fp1", "POL A1": "A1", "A2-AV": "A2",
    "Fp1\u2013Ref": "Fp1", "20-A1": "A1", "1-M2": "M2", "RDA_A1": "A1", "EEG:A1": "A1",
    # Linked mastoids are no reference that is known here.
    "EEG Fp1-M1/M2": "Fp1", "Fp1-M1M2": "Fp1", "Fp1-M1+M2": "Fp1", "Fp1-M2/M1": "Fp1", "Fp1-(M1+M2)/2": "Fp1",
    "Fp1-(M1 + M2) / 2": "Fp1",
}  # fmt: skip
OTHER_SIGNALS = [
    "EOG Fp1", "Fp1 EOG", "C1 EMG", "EKG1-F3", "F3-EKG1", "ECG C3", "LEOG-A2", "O2 Sat", "O2 saturation", "C3 SpO2",
    "Resp Fz", "Fz RESP1", "C3 pulse", "DC1 C3", "C3 DC", "Trig C3", "STI O1", "GND Fpz", "CQ_AF3", "POW.AF3.Theta",
    "Fp1 alpha", "Imp Fp1", "fNIRS Fp1", "Force_Fz", "Chin-A1", "SEEG C3",
]  # fmt: skip
NEITHER = [
    "C3 P3", "C3_P3", "POL C3-P3", "C3-P3 x", "Fp1/F7", "EEG Fp1-M1 Ref", "Jaw-A1", "O2 Flux", "O2 concentration",
    "POL T1", "PG1 x", "POL $A1", "E1-AV", "EEG FP1-", "Fp1 -", "CO2", "M1Ref", "Fp1Ref", "POL", "POL E",
    "C3'", "EEG C3''", "C3 M2", "C3\u2013P3", "Jaw:A1", "Jaw/M1", "Jaw-M1/M2", "Jaw-A1/A2", "Fp1-A1-A2",
]  # fmt: skip


def beside_cz(label: str) -> ResolvedChannels:
    return resolve_channels(["Cz", label], "1005")


@pytest.mark.parametrize(("label", "name"), AMONG_WORDS.items())
def test_one_electrode_among_unknown_words_is_this_electrode_and_flagged(label: str, name: str) -> None:
    found = beside_cz(label)
    assert set(found.montage.channel_names) == {"Cz", name}
    assert found.montage.reference == "unknown"
    assert set(found.flags) == {"electrode_among_words:1", "reference_unknown"}
    assert (found.left_out, found.not_understood) == ((), ())
    assert clean_label(label) is None  # other functions take only labels that are known


@pytest.mark.parametrize("label", OTHER_SIGNALS)
def test_a_word_for_another_signal_keeps_a_channel_out(label: str) -> None:
    found = beside_cz(label)
    assert (found.montage.channel_names, found.flags) == (("Cz",), ())
    assert (found.left_out, found.not_understood) == ((label,), ())


@pytest.mark.parametrize("label", NEITHER)
def test_what_may_be_two_electrodes_or_none_is_not_guessed(label: str) -> None:
    found = beside_cz(label)
    assert (found.montage.channel_names, found.flags) == (("Cz",), ())
    assert (found.left_out, found.not_understood) == ((), (label,))


def test_o2_with_words_that_others_have_is_no_gas() -> None:
    assert resolve_channels(["Cz left", "O2 left"], "1005").montage.channel_names == ("Cz", "O2")


@pytest.mark.parametrize(
    ("labels", "taken", "left_out", "not_understood"),
    [
        (["Cz", "Fp1-AV", "Fp1-AR"], ("Cz",), (), ("Fp1-AV", "Fp1-AR")),
        (["Cz", "Fp1", "Fp1-AV"], ("Fp1", "Cz"), (), ("Fp1-AV",)),
        (["Cz", "FP1-LE", "POL Fp1"], ("Fp1", "Cz"), (), ("POL Fp1",)),
        (["Cz", "Fp1-A1", "Fp1-A2"], ("Cz",), ("Fp1-A1", "Fp1-A2"), ()),
        (["Cz", "Fp1", "Fp1-A2"], ("Fp1", "Cz"), ("Fp1-A2",), ()),
        (["Cz", "Fp1-AV", "Fp1-A2"], ("Cz",), ("Fp1-A2",), ("Fp1-AV",)),
        (["Cz", "T3-AV", "POL T7", "P3"], ("Cz", "P3"), (), ("T3-AV", "POL T7")),
    ],
)
def test_two_labels_of_one_electrode_are_never_merged(
    labels: list[str], taken: tuple[str, ...], left_out: tuple[str, ...], not_understood: tuple[str, ...]
) -> None:
    found = resolve_channels(labels, "1005")
    assert (found.montage.channel_names, found.left_out, found.not_understood) == (taken, left_out, not_understood)
    [flag] = [flag for flag in found.flags if flag.startswith("names_compete")]
    assert flag in {"names_compete:Fp1", "names_compete:T7"}


def test_where_all_compete_the_error_says_so() -> None:
    with pytest.raises(RecordingError, match="several labels name Fp1") as caught:
        resolve_channels(["Fp1-AV", "Fp1-AR"], "1005")
    assert caught.value.code == "no_eeg"


def test_only_labels_at_the_rate_of_the_electrodes_may_have_words() -> None:
    labels, rates = ["Cz", "Fz", "Fp1 spikes", "C3-A2", "P3-AV"], [250, 250, 1, 1, 250]
    found = resolve_channels(labels, "1005", rates=rates)
    assert set(found.montage.channel_names) == {"Cz", "Fz", "P3"}
    assert (found.left_out, found.not_understood) == (("C3-A2",), ("Fp1 spikes",))
    assert electrode_names(labels, ReadParams(), rates) == ("Cz", "Fz", None, None, "P3")
    assert electrode_names(labels[2:], ReadParams(), [250, 250, 1]) == ("Fp1", "C3", None)


def test_words_around_raw_names_are_not_read_in_another_system() -> None:
    labels = [f"POL {bank}{k}" for bank in "ABCDEFGHIOP" for k in range(1, 11)]  # contacts inside the head
    with pytest.raises(RecordingError) as caught:
        resolve_channels(labels, "1005")
    assert caught.value.code == "no_eeg"


@pytest.mark.parametrize(
    ("label", "options", "name"),
    [
        ("POL Fp1", {"prefixes": ["POL"]}, "Fp1"),
        ("pol-Fp1", {"prefixes": ["POL"]}, "Fp1"),
        ("BrainVision RDA_Fp1", {"prefixes": ["BrainVision RDA_"]}, "Fp1"),
        ("EEG Fp1-M1Ref", {"suffixes": ["M1REF"]}, "Fp1"),
        ("POL Fp1-AV", {"prefixes": ["PO", "POL"], "suffixes": ["AV"]}, "Fp1"),
        ("XFp1", {"prefixes": ["X"]}, "Fp1"),
        ("P3", {"prefixes": ["P"]}, "P3"),
        ("O2 Sat", {"suffixes": ["Sat"]}, "O2"),
        ("Ch1", {"renames": {"Ch1": "Fp1"}}, "Fp1"),
        ("Ch1 ", {"renames": {"Ch1": "T3"}}, "T7"),
        ("CH1", {"renames": {"Ch1": "T3"}}, "T7"),
        ("CH1", {"renames": {"Ch1": "Fp1", "CH1": "Fp2"}}, "Fp2"),
        ("C3-P3", {"renames": {"C3-P3": "C3"}}, "C3"),
        ("P3", {"renames": {"P3": "P4"}}, "P4"),
    ],
)
def test_options_say_what_words_and_labels_mean(label: str, options: dict[str, object], name: str) -> None:
    reading = ReadParams.model_validate(options)
    found = resolve_channels(["Cz", label], "1005", reading=reading)
    assert set(found.montage.channel_names) == {"Cz", name}
    assert (found.flags, found.left_out, found.not_understood) == ((), (), ())
    assert electrode_names(["Cz", label], reading) == ("Cz", name)


def test_a_rename_in_another_case_must_be_the_only_one() -> None:
    reading = ReadParams(renames={"Ch1": "Fp1", "CH1": "Fp2"})
    assert resolve_channels(["Cz", "ch1"], "1005", reading=reading).not_understood == ("ch1",)


def test_the_options_that_change_a_label_are_known() -> None:
    reading = ReadParams(renames={"Ch1": "Fp1", "X7": None, "C9": "C1"}, prefixes=("POL", "P"), suffixes=("AV", "org"))
    assert options_used(["CH1 ", "x7", "POL Fp2-AV", "P3", "Pjaw", "Fz-xorg"], reading) == (
        "prefixes.POL",
        "renames.Ch1",
        "renames.X7",
        "suffixes.AV",
    )


def test_a_channel_without_a_name_is_left_out() -> None:
    reading = ReadParams(renames={"T3": None, "X1": None})
    found = resolve_channels(["T3", "T7", "X1"], "1005", reading=reading)
    assert (found.montage.channel_names, found.left_out) == (("T7",), ("T3", "X1"))
    assert electrode_names(["T3", "T7", "X1"], reading) == (None, "T7", None)


def test_two_channels_with_one_new_name_are_refused() -> None:
    with pytest.raises(RecordingError) as caught:
        resolve_channels(["Ch1", "Fp1"], "1005", reading=ReadParams(renames={"Ch1": "Fp1"}))
    assert caught.value.code == "duplicate_label"
