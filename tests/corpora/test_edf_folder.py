"""A folder of EDF or BDF files, as the published folders of eegmat and eegmmidb are laid out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bids_tree import convert_file, write_signal
from edf_files import set_field, write_edf
from eegfm.corpora.config import EdfFolderCorpus
from eegfm.errors import EegfmError
from eegfm.jobs.ingest.convert import Converted
from eegfm.signal.config import ReadParams
from eegfm.store.index import RejectedEntry


def test_reference_is_the_users_or_left_to_the_labels() -> None:
    assert EdfFolderCorpus().build("x").reference is None
    assert EdfFolderCorpus(reference="linked_ears").build("x").reference == "linked_ears"


@pytest.mark.parametrize(
    ("suffix", "given", "reference", "flags"),
    [
        ("-REF", None, "unknown", ["reference_unknown"]),
        ("-Ref", None, "unknown", ["reference_unknown"]),
        ("-REF", "average", "average", []),
        ("-REF", "unknown", "unknown", []),
        ("-LE", None, "linked_ears", []),
        ("-AVG", None, "average", []),
        ("", None, "unknown", []),
    ],
)
def test_the_reference_of_a_recording(
    tmp_path: Path, suffix: str, given: str | None, reference: str, flags: list[str]
) -> None:
    """``-REF`` was the average in TUH alone: in clinical files elsewhere it was (C3 + C4) / 2."""
    write_signal(tmp_path / "a.edf", [f"EEG {name}{suffix}" for name in ("FP1", "C3", "CZ", "O2")])
    done = convert_file(EdfFolderCorpus(reference=given), tmp_path, "a.edf", tmp_path / ".spool")
    assert isinstance(done, Converted), done
    assert (done.montage.reference, done.facts["reference"], done.facts["flags"]) == (reference, reference, flags)
    assert reference in done.montage.name


def described(pattern: str, path: str) -> dict[str, str] | None:
    found: dict[str, str] | None = EdfFolderCorpus(pattern=pattern).build("x").describe(path)
    return found


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{subject}.edf", "a.edf", {"subject": "a"}),
        ("{subject}.edf", "a.EDF", {"subject": "a"}),
        ("{subject}.EDF", "a.edf", {"subject": "a"}),
        ("{subject}.edf", "a.bdf", None),
        ("{subject}", "a.edf", {"subject": "a"}),
        ("{subject}", "a.b.BDF", {"subject": "a.b"}),
        ("{subject}", "a", None),
        ("{subject}.{task}", "a.rest.bdf", {"subject": "a", "bids_task": "rest"}),
        ("{subject}/{session}/{task}_run{run}.edf", "a/1/rest_run2.edf",
         {"subject": "a", "session": "1", "bids_task": "rest", "run": "2"}),
        ("{subject}/{session}/{task}_run{run}.edf", "x/a/1/rest_run2.edf", None),
        ("{subject}/{subject}.edf", "a/a.edf", {"subject": "a"}),
        ("{subject}/{subject}.edf", "a/b.edf", None),
        ("data.v1/({subject})+.edf", "data.v1/(a)+.edf", {"subject": "a"}),
        ("data.v1/{subject}.edf", "datasv1/a.edf", None),
    ],
)  # fmt: skip
def test_patterns(pattern: str, path: str, fields: dict[str, str] | None) -> None:
    assert described(pattern, path) == fields


def test_both_formats_in_subfolders(tmp_path: Path) -> None:
    for name in ("p1/s1_rest.edf", "p1/s2_rest.bdf", "p2/s1_rest.set", "p2/s1.edf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    table = EdfFolderCorpus(pattern="{subject}/{session}_{task}").build("x").index(tmp_path)
    assert table["path"].tolist() == ["p1/s1_rest.edf", "p1/s2_rest.bdf", "p2/s1.edf"]
    assert table["subject"].tolist() == ["p1", "p1", ""]
    assert table["session"].tolist() == ["s1", "s2", ""]
    assert table["excluded"].tolist() == [
        "",
        "",
        "not in the layout, expected names like {subject}/{session}_{task}.edf",
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{run}.edf", r"corpus\.pattern .*: \{subject\} is missing; splits are by person"),
        ("{subject}_{visit}.edf", r"unknown field \{visit\}; known: subject, session, task, run"),
    ],
)
def test_patterns_that_cannot_be_meant(pattern: str, message: str) -> None:
    with pytest.raises(EegfmError, match=message):
        EdfFolderCorpus(pattern=pattern).build("x")


def test_a_pattern_that_matches_nothing_says_what_it_expects(tmp_path: Path) -> None:
    (tmp_path / "S001R01.edf").write_bytes(b"")
    with pytest.raises(
        EegfmError, match=r"x: raw folder .* none in the layout of .*expected are files like \{subject\}/\{run\}"
    ):
        EdfFolderCorpus(pattern="{subject}/{run}").build("x").index(tmp_path)


@pytest.mark.parametrize(
    ("folder", "pattern", "subjects", "runs"),
    [
        ("eegmat", "Subject{subject}_{run}.edf", {"04", "05", "06", "08", "13", "14"}, {"1", "2"}),
        (
            "eegmmidb",
            "S{subject}/S{subject}R{run}.edf",
            {"001", "002", "003", "004", "038", "040"},
            {"01", "02", "03", "04", "06"},
        ),
    ],
)
def test_real_folders(shared_data: Path, folder: str, pattern: str, subjects: set[str], runs: set[str]) -> None:
    root = shared_data / folder
    if not root.is_dir():
        pytest.skip(f"real recordings are not here: {root} does not exist")
    table = EdfFolderCorpus(pattern=pattern).build(folder).index(root)
    assert subjects <= set(table["subject"])  # more persons may be added
    assert set(table["run"]) == runs
    assert table["recording_id"].is_unique
    assert len(table) == len(list(root.rglob("*.edf")))


NAMES = ("Fp1", "Fz", "C3", "O2")


def converted(folder: Path, labels: Sequence[str], suffix: str = ".edf", **options: Any) -> Converted:
    """A file with these labels, whose signals depend on their places only."""
    layout, reading = options.pop("layout", "1005"), ReadParams.model_validate(options)
    folder.mkdir()
    write_signal(folder / f"a{suffix}", labels)
    config = EdfFolderCorpus(pattern="{subject}", layout=layout)
    done = convert_file(config, folder, f"a{suffix}", folder / ".spool", reading=reading)
    assert isinstance(done, Converted), done
    return done


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
@pytest.mark.parametrize(
    ("form", "options", "reference", "flags"),
    [
        ("POL {}", {}, "unknown", ["electrode_among_words:4", "reference_unknown"]),
        ("EEG {}-M1Ref", {}, "unknown", ["electrode_among_words:4", "reference_unknown"]),
        ("EEG {}-M1Ref", {"suffixes": ["M1Ref"]}, "unknown", []),
        ("{}-M2", {}, "M2", []),
    ],
)
def test_words_around_names_change_no_signal(
    tmp_path: Path, suffix: str, form: str, options: dict[str, Any], reference: str, flags: list[str]
) -> None:
    plain = converted(tmp_path / "plain", [*NAMES, "ECG"], suffix)
    done = converted(tmp_path / "words", [*map(form.format, NAMES), "EOG Fz"], suffix, **options)
    assert done.montage.channel_names == plain.montage.channel_names == NAMES
    assert done.facts["signal_hashes"] == plain.facts["signal_hashes"]
    assert (done.facts["reference"], done.facts["flags"]) == (reference, flags)
    assert done.facts["labels_left_out"] == ["EOG Fz"]


def test_renamed_channels_are_checked_as_electrodes(tmp_path: Path) -> None:
    """A unit that is unknown is forgiven to a channel that is no electrode."""
    write_signal(tmp_path / "a.edf", ["Ch1", "Cz", "C3"])
    set_field(tmp_path / "a.edf", "unit", "furlong", 0)
    done = convert_file(EdfFolderCorpus(), tmp_path, "a.edf", tmp_path / ".spool")
    assert isinstance(done, Converted), done
    reading = ReadParams(renames={"Ch1": "Fp1"})
    done = convert_file(EdfFolderCorpus(), tmp_path, "a.edf", tmp_path / ".spool", reading=reading)
    assert isinstance(done, RejectedEntry), done
    assert done.code == "unknown_unit"


def test_raw_names_of_a_cap_are_placed_by_the_layout(tmp_path: Path) -> None:
    raw = [f"A{k}" for k in range(1, 17)]
    done = converted(tmp_path / "raw", [*raw, "EXG1", "Status"], ".bdf", layout="biosemi16")
    names = ["Fp1", "Fp2", "F4", "Fz", "F3", "T7", "C3", "Cz", "C4", "T8", "P4", "Pz", "P3", "O1", "Oz", "O2"]
    assert list(done.montage.channel_names) == names
    named = converted(tmp_path / "named", [*names, "EXG1", "Status"], ".bdf", layout="biosemi16")
    assert (named.montage, named.facts["signal_hashes"]) == (done.montage, done.facts["signal_hashes"])
    write_signal(tmp_path / "a.bdf", raw)
    for layout, remedy in (("1005", "set ingest.corpus.layout: biosemi16 if"), ("biosemi32", "biosemi16, whose")):
        done = convert_file(EdfFolderCorpus(pattern="{subject}", layout=layout), tmp_path, "a.bdf", tmp_path / ".spool")
        assert isinstance(done, RejectedEntry), done
        assert done.code == "no_eeg"
        assert remedy in done.remedy


@pytest.mark.parametrize("form", ["{}", "POL {}", "{}-M2", "{}-AV"])
def test_electrodes_with_words_decide_rate_and_gain_like_others(tmp_path: Path, form: str) -> None:
    names = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2"]
    slow = [f"Trend {k}" for k in range(12)]
    labels, rates_hz = [*map(form.format, names), *slow], [100.0] * 8 + [1.0] * 12
    noise = np.random.default_rng(0)
    signals_uv = [20 * noise.standard_normal(round(rate_hz * 10)) for rate_hz in rates_hz]
    write_edf(tmp_path / "a.edf", signals_uv, labels, rates_hz)
    done = convert_file(EdfFolderCorpus(), tmp_path, "a.edf", tmp_path / ".spool")
    assert isinstance(done, Converted), done
    assert (done.facts["original_rate_hz"], set(done.montage.channel_names)) == (100.0, set(names))
    ranges = [(-500.0, 500.0)] * 20
    ranges[2] = (-500000.0, 500000.0)
    write_edf(tmp_path / "a.edf", signals_uv, labels, rates_hz, ranges=ranges)
    done = convert_file(EdfFolderCorpus(), tmp_path, "a.edf", tmp_path / ".spool")
    assert isinstance(done, RejectedEntry), done
    assert done.code == "gain_disagrees"


def test_a_slow_channel_with_an_electrode_in_its_name_keeps_no_file_out(tmp_path: Path) -> None:
    labels, rates_hz = ["Fp1", "Fp2", "F3", "F4", "Cz spikes"], [100.0] * 4 + [1.0]
    noise = np.random.default_rng(0)
    signals_uv = [20 * noise.standard_normal(round(rate_hz * 10)) for rate_hz in rates_hz]
    ranges = [(-500.0, 500.0)] * 4 + [(0.0, 1e6)]
    write_edf(tmp_path / "a.edf", signals_uv, labels, rates_hz, ranges=ranges)
    done = convert_file(EdfFolderCorpus(), tmp_path, "a.edf", tmp_path / ".spool")
    assert isinstance(done, Converted), done
    assert (done.montage.n_channels, done.facts["labels_not_understood"]) == (4, ["Cz spikes"])
