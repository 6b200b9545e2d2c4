"""A fault of a channel that is no electrode changes nothing of what is stored, in every format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edf_files import set_field, write_edf
from eegfm.corpora.config import BidsCorpus, EdfFolderCorpus
from eegfm.jobs.ingest.config import IngestParams
from eegfm.jobs.ingest.convert import Converted, Task, convert
from eegfm.signal.config import SignalParams
from eegfm.store.index import RejectedEntry
from set_files import eeg_uv, fields, write_fdt, write_set

LABELS = ("Fp1", "F3", "C3", "Cz", "P3", "O1", "O2", "Pz")
RATE_HZ, N = 250.0, 2500
SIGNAL_UV = eeg_uv(len(LABELS), N, RATE_HZ)
AUX = np.sin(np.arange(N))


def result(path: Path) -> Converted | RejectedEntry:
    stat = path.stat()
    row = {"recording_id": "x:x", "corpus": "x", "subject": "x", "path": path.name, "published": ""}
    row |= {"n_bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    is_edf = path.suffix in {".edf", ".bdf"}
    params = IngestParams(corpus=EdfFolderCorpus(pattern="{subject}") if is_edf else BidsCorpus())
    return convert(Task(path.parent, row, path.stem, params, SignalParams(), path.parent))


def assert_equal_without(path: Path, without: Path, *flags: str) -> None:
    """The same samples as of the file without the other channels, and besides its flags these."""
    found, wanted = result(path), result(without)
    assert isinstance(found, Converted), found
    assert isinstance(wanted, Converted), wanted
    assert found.samples_path.read_bytes() == wanted.samples_path.read_bytes()
    np.testing.assert_array_equal(found.scales_uv, wanted.scales_uv)
    assert found.montage == wanted.montage
    assert found.bad_channels == wanted.bad_channels
    for name in ("segment_starts", "segment_stops", "signal_hashes", "bad_ratio", "n_clipped", "original_rate_hz"):
        assert found.facts[name] == wanted.facts[name]
    assert {*found.facts["flags"]} == {*wanted.facts["flags"], *flags}


def edf(path: Path, *others: tuple[str, float, int], changes: Sequence[tuple[str, str | bytes]] = ()) -> Path:
    """EDF, or BDF by its name. Other channels are (label, rate, place); changes are of the first of them."""
    labels, signals, rates = list(LABELS), [*SIGNAL_UV], [RATE_HZ] * len(LABELS)
    for label, rate_hz, place in others:
        labels.insert(place, label)
        signals.insert(place, AUX[: int(rate_hz * N / RATE_HZ)])
        rates.insert(place, rate_hz)
    write_edf(path, signals, labels, rates, bits=24 if path.suffix == ".bdf" else 16)
    for field, value in changes:
        set_field(path, field, value, labels.index(others[0][0]))
    return path


FAULTY, UNKNOWN = "other_channel_faulty:", "labels_not_understood"
NOTES = "EDF Annotations"
NO_NOTES = (FAULTY + NOTES, "no_record_onsets")
FAULTS: tuple[tuple[dict[str, float], tuple[tuple[str, str | bytes], ...], tuple[str, ...]], ...] = (
    ({NOTES: 0}, (), NO_NOTES),
    ({"SpO2": 0}, (), (FAULTY + "SpO2",)),
    ({"SpO2": 0, NOTES: 0}, (), (FAULTY + "SpO2", *NO_NOTES)),
    ({"C3-P3": 0}, (), (FAULTY + "C3-P3",)),
    ({"ECG": 250, " ECG": 250}, (), ()),
    ({"AUX": 250, "AUX ": 50}, (), ("other_rates", UNKNOWN)),
    ({"E1": 250, "E1 ": 250}, (), (UNKNOWN,)),
    ({"E1": 0}, (), (FAULTY + "E1", UNKNOWN)),
    ({"E1": 250}, (("physical maximum", "9000"),), (UNKNOWN,)),
    ({"SpO2": 250}, (("unit", "%"),), ()),
    ({"ECG": 250}, (("physical minimum", "500"),), (FAULTY + "ECG",)),
    ({"ECG": 250}, (("digital minimum", "9000000"),), (FAULTY + "ECG",)),
    ({"ECG": 250}, (("digital minimum", ""),), (FAULTY + "ECG",)),
    ({"ECG": 250}, (("physical maximum", "n/a"),), (FAULTY + "ECG",)),
    ({"ECG": 250}, (("physical maximum", "3,5"),), ()),
    ({"SpO2": 7}, (), ("other_rates",)),
    ({"": 250}, (("physical minimum", "500"),), (FAULTY + "#{place}", UNKNOWN)),
    ({"\x1b[31mred": 0}, (), (FAULTY + "?[31mred", UNKNOWN)),
    ({"Aux": 250}, (("label", b"\xff\xfe\x00\x9f"),), ("non_ascii_header", UNKNOWN)),
)
"""Other channels with their rates, changed fields of the first, and the flags."""


@pytest.mark.parametrize("suffix", ["edf", "bdf"])
@pytest.mark.parametrize("place", [0, 3, len(LABELS)])
def test_edf(tmp_path: Path, suffix: str, place: int) -> None:
    without = edf(tmp_path / f"without.{suffix}")
    for k, (others, changes, flags) in enumerate(FAULTS):
        placed = [(label, rate_hz, place) for label, rate_hz in others.items()]
        path = edf(tmp_path / f"x{k}.{suffix}", *placed, changes=changes)
        assert_equal_without(path, without, *(flag.format(place=place + 1) for flag in flags))


@pytest.mark.parametrize(
    ("label", "changes", "code"),
    [
        ("EEG O2-REF", [], "duplicate_label"),
        ("T7", [("samples per record", "0")], "samples_per_record"),
        ("T7", [("physical minimum", "500")], "physical_range"),
        ("T7", [("unit", "%")], "unknown_unit"),
        ("ECG", [("samples per record", "x")], "not_a_number"),
        ("ECG", [("samples per record", "-1")], "samples_per_record"),
    ],
)
def test_faults_of_electrodes_and_of_the_records_reject_the_file(
    tmp_path: Path, label: str, changes: list[tuple[str, str]], code: str
) -> None:
    done = result(edf(tmp_path / "x.edf", (label, RATE_HZ, 2), changes=changes))
    assert isinstance(done, RejectedEntry)
    assert done.code == code


def test_a_file_in_which_no_channel_has_samples_is_rejected(tmp_path: Path) -> None:
    path = edf(tmp_path / "x.edf", ("EDF Annotations", 250, 0))
    for k in range(1, 9):
        set_field(path, "samples per record", "0", k)
        set_field(path, "label", f"ECG{k}", k)
    assert result(path).code == "no_signals"


def test_records_are_proven_in_place_beside_channels_without_samples(tmp_path: Path) -> None:
    """Annotation lists at the end of a record prove it. An empty channel after them changes nothing."""
    for name, labels in (("without", []), ("x", ["SpO2"])):
        rates = [RATE_HZ] * len(LABELS) + [0] * len(labels)
        signals = [*SIGNAL_UV, *([AUX] * len(labels))]
        path = tmp_path / f"{name}.edf"
        write_edf(path, signals, [*LABELS, *labels], rates, reserved="EDF+C", notes=[(1.0, 0.5, b"go")], notes_at=8)
        path.write_bytes(path.read_bytes() + b"\x07\x01\x02")
    assert_equal_without(tmp_path / "x.edf", tmp_path / "without.edf", "other_channel_faulty:SpO2")
    found = result(tmp_path / "x.edf")
    assert [event["onset_s"] for event in found.events] == [1.0]


def test_the_second_annotation_channel_keeps_the_time_where_the_first_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    signals = [AUX, *SIGNAL_UV]
    notes, onsets_s = [(1.0, 0.5, b"go")], [*range(5), *range(7, 12)]
    rates = [0, *[RATE_HZ] * len(LABELS)]
    write_edf(path, signals, [NOTES, *LABELS], rates, reserved="EDF+D", notes=notes, onsets_s=onsets_s)
    done = result(path)
    assert isinstance(done, Converted), done
    assert done.facts["segment_onsets_s"] == [0.0, 7.0]
    assert [event["value"] for event in done.events] == ["go"]


@pytest.mark.parametrize("label", ["EDF annotations", "EDF ANNOTATIONS", " EDF Annotations", "edf  annotations"])
def test_annotation_channels_are_known_in_any_case_and_with_any_blanks(tmp_path: Path, label: str) -> None:
    path = tmp_path / "x.edf"
    write_edf(path, [*SIGNAL_UV], LABELS, RATE_HZ, reserved="EDF+C", notes=[(2.0, 1.0, b"go "), (8.0, 1.0, b"go")])
    set_field(path, "label", label, len(LABELS))
    done = result(path)
    assert isinstance(done, Converted), done
    assert [(event["onset_s"], event["value"]) for event in done.events] == [(2.0, "go"), (8.0, "go")]
    assert done.facts["flags"] == []
    assert done.facts["labels_not_understood"] == []


def brainvision(path: Path, *others: str, encoding: str = "utf-8") -> Path:
    """Other channels are the fields of their lines, after the electrodes."""
    lines = [f"{label},,0.1,µV" for label in LABELS] + list(others)
    text = [
        "Brain Vision Data Exchange Header File Version 1.0", "[Common Infos]", f"DataFile={path.stem}.eeg",
        "DataFormat=BINARY", "DataOrientation=MULTIPLEXED", f"NumberOfChannels={len(lines)}", "SamplingInterval=4000",
        "[Binary Infos]", "BinaryFormat=INT_16", "[Channel Infos]",
        *(f"Ch{k}={line}" for k, line in enumerate(lines, 1)),
    ]  # fmt: skip
    path.write_bytes("\r\n".join(text).encode(encoding))
    stored = np.concatenate([SIGNAL_UV * 10, np.tile(AUX * 100, (len(others), 1))])
    np.rint(stored).astype("<i2").T.tofile(path.with_suffix(".eeg"))
    return path


def test_brainvision(tmp_path: Path) -> None:
    without = brainvision(tmp_path / "without.vhdr")
    for k, (others, flags) in enumerate(
        [
            (["ECG,,0.1,µV", "ECG,,0.1,µV"], []),
            (["AUX,,0.1,µV", "AUX,,0.1,µV", "AUX,,1,µS"], ["labels_not_understood"]),
            (["GSR,,0.1,µS"], []),
            (["GSR,,0.1,parsec"], []),
            (["GSR,,0,µS"], ["other_channel_faulty:GSR"]),
            (["GSR,,n/a,µS"], ["other_channel_faulty:GSR"]),
            (["GSR,,-1,µV", "GSR,,x,µV"], ["other_channel_faulty:GSR"]),
            ([",,0.1,µV"], ["labels_not_understood"]),
            ([",,,"], ["labels_not_understood"]),
            (["", ""], ["labels_not_understood"]),
            ([",,nan,µV"], ["other_channel_faulty:#9", "labels_not_understood"]),
        ]
    ):
        assert_equal_without(brainvision(tmp_path / f"x{k}.vhdr", *others), without, *flags)
    latin = brainvision(tmp_path / "latin.vhdr", "Größe,,0.1,°C", encoding="latin-1")
    assert_equal_without(latin, without, "labels_not_understood")
    for others, code in ((["Fp1,,0.1,µV"], "duplicate_label"), (["T7,,0,µV"], "brainvision_header")):
        done = result(brainvision(tmp_path / "bad.vhdr", *others))
        assert isinstance(done, RejectedEntry)
        assert done.code == code


def eeglab(path: Path, *others: tuple[Any, np.ndarray], container: str = "v7", has_fdt: bool = False) -> Path:
    """Other channels are (label, samples), after the electrodes."""
    signals = np.concatenate([SIGNAL_UV, *(np.broadcast_to(values, (1, N)) for _, values in others)]).astype(np.float32)
    content = fields([*LABELS, *(label for label, _ in others)], N, RATE_HZ)
    if has_fdt:
        write_fdt(path.with_suffix(".fdt"), signals)
    write_set(path, content, path.with_suffix(".fdt").name if has_fdt else signals, container=container)
    return path


@pytest.mark.parametrize("has_fdt", [True, False])
def test_eeglab(tmp_path: Path, has_fdt: bool) -> None:
    without = eeglab(tmp_path / "without.set", has_fdt=has_fdt)
    everything = np.array([np.nan, np.inf, -np.inf, 1e30, -1e-30] * (N // 5))
    for k, (others, flags) in enumerate(
        [
            ([("ECG", np.nan)], []),
            ([("ECG", everything), ("ECG", everything)], []),
            ([("AUX", np.inf), ("AUX", 1e30), ("AUX", 1e-30), ("AUX", 1e30)], ["labels_not_understood"]),
            ([("", AUX)], ["labels_not_understood"]),
            ([(7.0, AUX), ([], AUX), (("ECG", "EOG"), AUX)], ["labels_not_understood"]),
            ([("\ufffd\u0080\u00e9", AUX)], ["labels_not_understood"]),
            ([(("ECG",), np.nan)], []),
        ]
    ):
        assert_equal_without(eeglab(tmp_path / f"x{k}.set", *others, has_fdt=has_fdt), without, *flags)
    done = result(eeglab(tmp_path / "bad.set", ("Fp1", AUX)))
    assert isinstance(done, RejectedEntry)
    assert done.code == "duplicate_label"
