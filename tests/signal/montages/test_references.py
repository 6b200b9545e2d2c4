"""The reference of recordings whose labels name the electrode that they are recorded against."""

import pytest

from eegfm.errors import RecordingError
from eegfm.recording import Reference
from eegfm.signal.montages.electrodes import AS_WRITTEN, clean_label, electrode_names, resolve_channels

SLEEP = ["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"]
EYES = ["E1-M2", "E2-M2", "M1-M2", "ROC-A1"]


@pytest.mark.parametrize(
    ("labels", "reference", "flags"),
    [
        (SLEEP, "either_mastoid", {"references_mixed:M1+M2"}),
        ([label.replace("M", "A") for label in SLEEP], "either_ear", {"references_mixed:A1+A2"}),
        (["EEG C3-M2", "EEG C4-M2", "Cz-M2"], "M2", set()),
        (["C3-A1", "C4-A1"], "A1", set()),
        (["C3-M2", "C4-A1"], "unknown", {"references_mixed:A1+M2"}),
        (["C3-M2", "Fz"], "unknown", {"references_mixed:M2+unnamed"}),
        (["C3-M2", "Fz-REF"], "unknown", {"references_mixed:M2+unnamed"}),
        (["C3-M2", "Fz-LE"], "unknown", {"references_mixed:M2+linked_ears"}),
        (["C3-LE", "Fz-AV"], "unknown", {"references_mixed:linked_ears+unnamed", "electrode_among_words:1"}),
        (["C3-M2", "Fz-AV"], "unknown", {"references_mixed:M2+unnamed", "electrode_among_words:1"}),
        (["Fp1-Cz", "Fz-Cz", "Pz-Cz"], "Cz", set()),
        (["Fp1-FCz", "Fz-FCz", "Pz-FCz"], "unknown", {"reference_unknown", "reference_not_in_average:FCz"}),
    ],
)
def test_the_reference_is_named_and_a_mixture_is_flagged(labels: list[str], reference: str, flags: set[str]) -> None:
    found = resolve_channels([*labels, *EYES], "1005")
    assert [labels[pick].replace("EEG ", "").partition("-")[0] for pick in found.picks] == [
        *found.montage.channel_names
    ]
    assert len(found.picks) == len(labels)
    assert (found.montage.reference, set(found.flags)) == (reference, flags)
    assert found.left_out == tuple(EYES)


@pytest.mark.parametrize(
    "labels",
    [
        ["C3-P3"], ["Fp1-F7", "F7-T7", "T7-P7"], ["Fpz-Cz", "Pz-Oz"], ["C3-P3", "F3-P3", "F4-P3"], ["Fz-Cz", "Pz-Cz"],
        ["Fz-Cz", "Pz-Cz", "Cz-Oz"], ["A2-A1"], ["M1-M2"], ["T1-A2"], ["E1-M2"],
    ],
)  # fmt: skip
def test_derivations_of_two_electrodes_stay_what_they_are(labels: list[str]) -> None:
    with pytest.raises(RecordingError) as caught:
        resolve_channels(labels, "1005")
    assert caught.value.code == "no_eeg"


def test_a_shared_electrode_of_the_midline_is_no_reference_beside_other_electrodes() -> None:
    found = resolve_channels(["Oz", "Fp1-Cz", "Fz-Cz", "Pz-Cz"], "1005")
    assert (found.montage.channel_names, found.left_out) == (("Oz",), ("Fp1-Cz", "Fz-Cz", "Pz-Cz"))


@pytest.mark.parametrize("sign", [":", "/", "_", " : ", "\u2013", "\u2014", "\u2212"])
def test_other_signs_before_an_ear_or_mastoid_are_hyphens(sign: str) -> None:
    for labels in (SLEEP, ["EEG C3-A1", "EEG C4-A2", "O1.-A2"], ["F3-A1", "F4-A1"]):
        wanted = resolve_channels([*labels, *EYES, "A2-A1"], "1005")
        rest = [label.replace("-", sign) for label in (*EYES, "A2-A1")]
        found = resolve_channels([*(label.replace("-", sign) for label in labels), *rest], "1005")
        assert (found.picks, found.montage, found.flags) == (wanted.picks, wanted.montage, wanted.flags)
        assert (found.left_out, found.not_understood) == (tuple(rest), ())


@pytest.mark.parametrize(
    "ending",
    ["-A1/A2", "-A2A1", "-A2+A1", "-(A1+A2)/2", "-A2/A1", " - a1 + a2", "-(A1 + A2) / 2", "-A1A2/2", ":A1/A2", "_A1A2"],
)
def test_both_ears_are_linked_ears(ending: str) -> None:
    labels = [f"EEG {name}{ending}" for name in ("Fp1", "T3", "Cz")]
    found = resolve_channels(labels, "1005")
    assert found.montage.channel_names == ("Fp1", "T7", "Cz")
    assert (found.montage.reference, found.flags) == ("linked_ears", ())
    assert clean_label(labels[0]) == "Fp1"


@pytest.mark.parametrize("own", ["Cz", "Cz-Cz", "EEG Cz", "EEG CZ-CZ", "Cz-REF"])
@pytest.mark.parametrize("rate_hz", [250, 1])
def test_the_channel_of_the_shared_reference_keeps_no_file_out(own: str, rate_hz: int) -> None:
    labels = ["Fp1-Cz", "Fz-Cz", own, "Pz-Cz", "EEG T3-CZ"]
    found = resolve_channels(labels, "1005", rates=[250, 250, rate_hz, 250, 250])
    assert found.montage.channel_names == ("Fp1", "Fz", "T7", "Pz")
    assert [labels[pick] for pick in found.picks] == ["Fp1-Cz", "Fz-Cz", "EEG T3-CZ", "Pz-Cz"]
    assert (found.montage.reference, found.flags, found.left_out) == ("Cz", (), (own,))
    assert electrode_names(labels, AS_WRITTEN) == ("Fp1", "Fz", None, "Pz", "T7")


def test_another_shared_reference_is_left_out_and_not_in_the_average() -> None:
    for own in ("FCz", "FCz-FCz"):
        found = resolve_channels(["Fp1-FCz", "Fz-FCz", "Pz-FCz", own], "1005")
        assert (found.montage.channel_names, found.left_out) == (("Fp1", "Fz", "Pz"), (own,))
        assert found.flags == ("reference_unknown", "reference_not_in_average:FCz")


@pytest.mark.parametrize("other", ["Oz", "Oz-LE", "Cz-LE", "Cz-AVG"])
def test_another_electrode_alone_leaves_derivations_what_they_are(other: str) -> None:
    found = resolve_channels(["Fp1-Cz", "Fz-Cz", "Pz-Cz", other], "1005")
    assert found.montage.channel_names == (other[:2],)


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ("either_mastoid", ()),
        ("unknown", ()),
        ("M1", ("reference_differs:M2",)),
        ("linked_ears", ("reference_differs:M1", "reference_differs:M2")),
    ],
)
def test_a_given_reference_counts(given: Reference, flags: tuple[str, ...]) -> None:
    found = resolve_channels(SLEEP, "1005", given)
    assert (found.montage.reference, found.flags) == (given, flags)


def test_contradicting_words_are_still_refused() -> None:
    for labels in (["C3-LE", "C4-AVG"], ["C3-LE", "C4-REF", "Fz-M2"], ["C3-LE", "C4-AVG", "Fz-AV"]):
        with pytest.raises(RecordingError) as caught:
            resolve_channels(labels, "1005")
        assert caught.value.code == "mixed_references"


def test_ears_are_no_reference_of_nets_and_radial_caps() -> None:
    found = resolve_channels(["E1", "E2-M2", "E3-Cz"], "gsn129")
    assert found.montage.channel_names == ("E1",)
    radial = [f"{bank}{k}" for bank in "ABCD" for k in range(1, 33)]
    assert resolve_channels([*radial[1:], "A1-A2"], "biosemi128").montage.n_channels == 127
