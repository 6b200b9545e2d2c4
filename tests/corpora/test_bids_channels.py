"""``channels.tsv``: types, units, bad channels, and files that lack what it lists."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bids_tree import header, write_tree
from eegfm.corpora.bids_channels import Channel, ChannelTable, channel_key, read_channels, resolve_typed
from eegfm.errors import RecordingError
from eegfm.signal.config import ReadParams

COLUMNS = ("name", "type", "units", "status", "sampling_frequency")
LABELS = ("EEG Fp1-REF", "Cz", "O1", "M1", "Lid", "Status")


def table(folder: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = COLUMNS) -> ChannelTable:
    return read_channels(write_tree(folder, {"x_channels.tsv": [columns, *rows]}) / "x_channels.tsv")


def full(folder: Path, **changed: Sequence[object]) -> ChannelTable:
    """The table that fits ``LABELS``, with rows changed by name; an empty row is left out."""
    rows: dict[str, Sequence[object]] = {
        "Fp1": ("Fp1", "EEG", "µV", "good", 100),
        "Cz": ("Cz", "eeg", "uV", "good", 100),
        "O1": ("O1", "EEG", "microV", "n/a", "n/a"),
        "M1": ("M1", "MISC", "uV", "good", 100),
        "Lid": ("LID", "EOG", "uV", "good", 100),
        "Status": ("Status", "TRIG", "n/a", "good", 100),
    }
    return table(folder, [row for row in (rows | changed).values() if row])


def test_types_decide_over_names(tmp_path: Path) -> None:
    found = resolve_typed(header(LABELS), full(tmp_path), "1005", None)
    assert found.montage.channel_names == ("Fp1", "Cz", "O1")
    assert found.picks == (0, 1, 2)
    assert sorted(found.left_out) == ["Lid", "M1", "Status"]
    assert found.not_understood == ()


def test_picks_count_in_the_file(tmp_path: Path) -> None:
    """Channels that are left out stand before and between those that are kept."""
    labels = ("Lid", "O1", "M1", "Fp1", "Status", "Cz")
    found = resolve_typed(header(labels), full(tmp_path), "1005", None)
    assert [labels[pick] for pick in found.picks] == ["Fp1", "Cz", "O1"] == list(found.montage.channel_names)


def test_without_a_table_names_decide() -> None:
    found = resolve_typed(header(LABELS), None, "1005", "average")
    assert found.montage.channel_names == ("Fp1", "Cz", "O1", "M1")
    assert found.montage.reference == "average"


def test_flags_of_a_table_that_fits(tmp_path: Path) -> None:
    channels, head = full(tmp_path), header(LABELS)
    assert channels.flags(head, resolve_typed(head, channels, "1005", None)) == ()


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"Fp1": ("Fp1", "EEG", "uV", "bad", 100)}, ("marked_bad:Fp1",)),
        ({"M1": ("M1", "MISC", "V", "bad", 5)}, ()),
        *(
            ({"Fp1": ("Fp1", "EEG", "uV", status, 100)}, ("status_not_understood:Fp1",))
            for status in ("rejected", "bad?", "1", "ok", "not good", "badly")
        ),
        *(({"Fp1": ("Fp1", "EEG", "uV", status, 100)}, ()) for status in ("GOOD", " good ", "N/A", "")),
        ({"M1": ("M1", "MISC", "uV", "ok", 100)}, ()),
        ({"Cz": ("Cz", "n/a", "uV", "good", 100)}, ("channel_type_missing",)),
        ({"Cz": ("Cz", "EEG", "n/a", "good", 100)}, ("channel_units_missing",)),
        ({"Cz": ("Cz", "n/a", "n/a", "Bad", 100)}, ("marked_bad:Cz", "channel_type_missing", "channel_units_missing")),
        ({"Cz": ("Cz", "EEG", "V", "good", 100)}, ("units_differ",)),
        ({"Cz": ("Cz", "EEG", "furlong", "good", 100)}, ("units_differ",)),
        ({"Cz": ()}, ("channels_tsv_differs",)),
        ({"more": ("EXG9", "MISC", "uV", "good", 100)}, ("channels_tsv_differs",)),
        ({"Status": ()}, ()),
    ],
)
def test_flags(tmp_path: Path, changed: dict[str, Sequence[object]], flags: tuple[str, ...]) -> None:
    channels, head = full(tmp_path, **changed), header(LABELS)
    assert channels.flags(head, resolve_typed(head, channels, "1005", None)) == flags


def test_a_file_without_units_is_not_contradicted(tmp_path: Path) -> None:
    channels, head = full(tmp_path), header(LABELS, unit="")
    assert channels.flags(head, resolve_typed(head, channels, "1005", None)) == ()


def test_a_table_of_names_alone_flags_what_is_taken_for_granted(tmp_path: Path) -> None:
    head = header(("E1", "E002", "Cz"))
    channels = table(tmp_path, [("E1",), ("E2",), ("E129",)], ("name",))
    found = resolve_typed(head, channels, "gsn129", None)
    assert found.montage.channel_names == ("E1", "E2", "Cz")
    assert channels.flags(head, found) == ("channel_type_missing", "channel_units_missing")


@pytest.mark.parametrize("kind", ["EEG", "n/a"])
def test_a_file_that_lacks_a_listed_electrode_is_rejected(tmp_path: Path, kind: str) -> None:
    channels = full(tmp_path, more=("Pz", kind, "uV", "good", 100), other=("XY", "n/a", "uV", "good", 100))
    with pytest.raises(
        RecordingError, match=r"x_channels\.tsv lists 1 EEG channels that the file lacks, e\.g\. Pz"
    ) as e:
        resolve_typed(header(LABELS), channels, "1005", None)
    assert e.value.code == "channel_mismatch"


def test_a_file_of_another_rate_is_rejected(tmp_path: Path) -> None:
    channels = full(tmp_path, Cz=("Cz", "EEG", "uV", "good", 250))
    with pytest.raises(RecordingError, match=r"Cz has 100 Hz, x_channels\.tsv says 250 Hz") as info:
        resolve_typed(header(LABELS), channels, "1005", None)
    assert info.value.code == "rate_mismatch"
    # Only the channels that are taken must agree: auxiliary ones are often listed at the rate of the others.
    auxiliary = replace(header(LABELS), channel_rates_hz=(100.0, 100.0, 100.0, 10.0, 10.0, 10.0))
    assert len(resolve_typed(auxiliary, full(tmp_path), "1005", None).picks) == 3


@pytest.mark.parametrize(
    ("rows", "columns", "found", "fault"),
    [
        ([("EEG", "uV")], ("type", "units"), {}, "unreadable:channels.tsv"),
        ([("n/a", "EEG")], ("name", "type"), {}, "rows_left_out:channels.tsv:1"),
        ([("Cz", "EEG", "x")], ("name", "type"), {}, "rows_left_out:channels.tsv:1"),
        ([("Cz", "EEG"), ("CZ", "MISC")], ("name", "type"), {"Cz": Channel(None, None, None, None)},
         "not_understood:channels.tsv:type"),
        ([("Cz", "good"), ("Cz", "bad")], ("name", "status"), {"Cz": Channel(None, None, "bad", None)},
         "not_understood:channels.tsv:status"),
        ([("Cz", "fast")], ("name", "sampling_frequency"), {"Cz": Channel(None, None, None, None)},
         "not_understood:channels.tsv:sampling_frequency"),
        ([("Cz", "EEG", "MISC")], ("name", "type", "type"), {"Cz": Channel(None, None, None, None)},
         "not_understood:channels.tsv:type"),
    ],
)  # fmt: skip
def test_what_a_table_does_not_say_clearly_it_does_not_say(
    tmp_path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str], found: dict[str, Channel], fault: str
) -> None:
    read = table(tmp_path, rows, columns)
    assert (read.rows, read.faults) == (found, (f"side_file_{fault}",))
    head = header(LABELS)
    resolved = resolve_typed(head, read, "1005", None)
    assert resolved.montage.channel_names == ("Fp1", "Cz", "O1", "M1")
    assert f"side_file_{fault}" in read.flags(head, resolved)


@pytest.mark.parametrize("name", ["GND", "X9", "STI 014", "Ref"])
def test_rows_that_are_no_electrodes_reject_nothing(tmp_path: Path, name: str) -> None:
    channels, head = full(tmp_path, more=(name, "EEG", "uV", "good", 100)), header(LABELS)
    found = resolve_typed(head, channels, "1005", None)
    assert found.montage.channel_names == ("Fp1", "Cz", "O1")
    assert channels.flags(head, found) == ("channels_tsv_differs",)


def test_electrodes_that_a_file_may_lack(tmp_path: Path) -> None:
    """One that is bad was dropped; the reference was never recorded."""
    head = header(LABELS)
    dropped = full(tmp_path, more=("Pz", "EEG", "uV", "bad", 100))
    assert dropped.flags(head, resolve_typed(head, dropped, "1005", None)) == ("channels_tsv_differs",)
    reference = full(tmp_path, more=("FCz", "EEG", "uV", "good", 100))
    found = resolve_typed(head, reference, "1005", None, may_lack={"FCz"})
    assert reference.flags(head, found) == ("channels_tsv_differs",)
    with pytest.raises(RecordingError, match=r"lists 1 EEG channels that the file lacks, e\.g\. FCz"):
        resolve_typed(head, reference, "1005", None)


@pytest.mark.parametrize(("stated", "is_flagged"), [(3, False), (None, False), (2, True), (4, True), (64, True)])
def test_the_number_of_channels_against_their_list(tmp_path: Path, stated: float | None, is_flagged: bool) -> None:
    flags = full(tmp_path).count_flags(header(LABELS), stated)
    assert flags == ((f"channel_count_differs:{stated}",) if is_flagged else ())


def test_a_file_without_electrodes_says_what_the_table_names(tmp_path: Path) -> None:
    channels, head = full(tmp_path), header(("Ch1", "Ch2", "Ch3"))
    with pytest.raises(RecordingError, match=r"x_channels\.tsv lists 3 electrodes by other names \(Fp1, Cz, O1\)") as e:
        resolve_typed(head, channels, "1005", None)
    assert (e.value.code, "same names" in e.value.remedy) == ("no_eeg", True)
    typed = full(tmp_path, **{name: (name, "EMG", "uV", "good", 100) for name in ("Fp1", "Cz", "O1")})
    with pytest.raises(
        RecordingError, match=r"x_channels\.tsv gives 4 of them another type than EEG \(EEG Fp1-REF, Cz"
    ):
        resolve_typed(header(LABELS), typed, "1005", None)


def test_a_channel_that_is_listed_twice_alike_is_one(tmp_path: Path) -> None:
    assert len(table(tmp_path, [("EMG", "EMG"), ("EMG", "EMG")], ("name", "type")).rows) == 1


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("EEG Fp1-REF", "FP1", True),
        ("E001", "E1", True),
        ("T3", "T7", True),
        ("status", " Status", True),
        ("Fp1-F7", "Fp1", False),
    ],
)
def test_names_of_one_channel(a: str, b: str, same: bool) -> None:
    assert (channel_key(a) == channel_key(b)) is same


READING = ReadParams()
WORDS = ("POL Fp1", "Cz", "EEG O1-AV", "C3-M2", "EOG Fp1")


@pytest.mark.parametrize(
    "names",
    [
        ("POL Fp1", "Cz", "EEG O1-AV", "C3-M2"),
        ("Fp1", "Cz", "O1", "C3"),
        ("EEG Fp1-Ref", "Cz.", "O1_x", "C3-A2"),
    ],
)
def test_rows_have_their_own_words_around_an_electrode(tmp_path: Path, names: Sequence[str]) -> None:
    channels = table(tmp_path, [(name, "EEG", "uV", "bad" if k < 2 else "good", 100) for k, name in enumerate(names)])
    found = resolve_typed(header(WORDS), channels, "1005", None)
    assert [WORDS[pick] for pick in found.picks] == ["POL Fp1", "C3-M2", "Cz", "EEG O1-AV"]
    assert set(found.montage.channel_names) == {"Fp1", "Cz", "O1", "C3"}
    assert found.left_out == ("EOG Fp1",)
    flags = channels.flags(channels.listed(header(WORDS[:4]), READING, found), found)
    assert set(flags) == {"marked_bad:Fp1", "marked_bad:Cz"}


def test_rows_of_electrodes_that_share_a_reference(tmp_path: Path) -> None:
    labels = ("Fp1-Cz", "Fz-Cz", "Pz-Cz")
    channels = table(tmp_path, [(name, "EEG", "uV", "bad", 100) for name in ("Fp1", "Fz", "Pz")])
    found = resolve_typed(header(labels), channels, "1005", None)
    assert found.montage.reference == "Cz"
    assert set(channels.flags(channels.listed(header(labels), READING, found), found)) == {
        "marked_bad:Fp1",
        "marked_bad:Fz",
        "marked_bad:Pz",
    }


@pytest.mark.parametrize("own", ["Cz", "Cz-Cz"])
@pytest.mark.parametrize("row", ["Cz", "Cz-Cz"])
def test_the_row_of_the_shared_reference_is_that_of_its_channel(tmp_path: Path, own: str, row: str) -> None:
    labels = ("Fp1-Cz", "Fz-Cz", "Pz-Cz", own)
    channels = table(tmp_path, [(name, "EEG", "uV", "good", 100) for name in ("Fp1", "Fz", "Pz", row)])
    found = resolve_typed(header(labels), channels, "1005", None)
    assert (found.montage.channel_names, found.left_out) == (("Fp1", "Fz", "Pz"), (own,))
    assert channels.flags(channels.listed(header(labels), READING, found), found) == ()


def test_a_row_of_a_derivation_is_none_of_an_electrode(tmp_path: Path) -> None:
    channels = table(tmp_path, [(name, "EEG", "uV", "good", 100) for name in ("Fp1", "C3")])
    with pytest.raises(RecordingError) as caught:
        resolve_typed(header(["Fp1", "C3-P3"]), channels, "1005", None)
    assert caught.value.code == "channel_mismatch"


def test_a_type_in_the_table_counts_whatever_the_words(tmp_path: Path) -> None:
    channels = table(tmp_path, [("Fp1", "EOG", "uV", "good", 100), ("Cz", "EEG", "uV", "good", 100)])
    found = resolve_typed(header(["POL Fp1", "Cz"]), channels, "1005", None)
    assert (found.montage.channel_names, found.left_out) == (("Cz",), ("POL Fp1",))


def test_an_input_of_a_cap_with_another_type_in_the_table_is_named(tmp_path: Path) -> None:
    raw = [f"{bank}{k}" for bank in "AB" for k in range(1, 33)]
    channels = table(tmp_path, [(name, "MISC" if name == "A7" else "EEG", "uV", "good", 100) for name in raw])
    with pytest.raises(RecordingError) as caught:
        resolve_typed(header(raw), channels, "biosemi64", None)
    assert caught.value.code == "no_eeg"
    assert "; missing: A7; x_channels.tsv gives 1 of them another type than EEG (A7)" in caught.value.reason
    assert caught.value.remedy.startswith("correct the types, or ")


def test_names_that_only_the_table_has_are_given_by_renames(tmp_path: Path) -> None:
    """Rows count by name. That they stand in the file's order cannot be known."""
    rows = [(name, "EEG", "uV", "good", 100) for name in ("Fp1", "Fz", "Cz")]
    channels, head = table(tmp_path, rows), header(["Ch1", "Ch2", "Ch3"])
    with pytest.raises(RecordingError) as caught:
        resolve_typed(head, channels, "1005", None)
    assert caught.value.code == "no_eeg"
    assert "ingest.reading.renames" in caught.value.remedy
    reading = ReadParams(renames={"Ch1": "Fp1", "Ch2": "Fz", "Ch3": "Cz"})
    found = resolve_typed(head, channels, "1005", None, reading=reading)
    assert found.montage.channel_names == ("Fp1", "Fz", "Cz")
    assert channels.flags(channels.listed(head, reading, found), found) == ()


@pytest.mark.parametrize("names", ["", "Fp1 Fp2 F4 Fz F3 T7 C3 Cz C4 T8 P4 Pz P3 O1 Oz O2"])
def test_raw_names_of_a_cap_and_their_bad_channels(tmp_path: Path, names: str) -> None:
    labels = [f"A{k}" for k in range(1, 17)]
    listed = names.split() or labels
    rows = [(name, "EEG", "uV", "bad" if k in (2, 15) else "good", 100) for k, name in enumerate(listed)]
    channels = table(tmp_path, [*rows, ("C1", "EMG", "uV", "good", 100)])
    found = resolve_typed(header([*labels, "C1"]), channels, "biosemi16", None)
    assert (len(found.picks), found.left_out) == (16, ("C1",))
    listed = channels.listed(header([*labels, "C1"]), READING, found)
    assert set(channels.flags(listed, found)) == {"marked_bad:F4", "marked_bad:O2"}
