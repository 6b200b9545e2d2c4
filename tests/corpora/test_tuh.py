"""The published layouts of the TUH corpora, and what their EDF headers tell."""

import pytest

from eegfm.corpora.config import TuhCorpus
from eegfm.signal.reader import RecordingHeader, Segment

TUH = TuhCorpus().build("tuh")


@pytest.mark.parametrize(
    ("folders", "name", "fields"),
    [
        # TUEG v2, TUEG v1, TUAB v3, TUAB v2
        ("edf/000/aaaaaaaa/s001_2015_12_30/01_tcp_ar", "aaaaaaaa_s001_t000", ("", "01_tcp_ar", "")),
        ("edf/01_tcp_ar/027/00002729/s001_2006_04_12", "00002729_s001_t003", ("", "01_tcp_ar", "")),
        ("edf/train/normal/01_tcp_ar", "aaaaamye_s001_t000", ("train", "01_tcp_ar", "normal")),
        ("edf/eval/abnormal/01_tcp_ar", "aaaaamye_s002_t000", ("eval", "01_tcp_ar", "abnormal")),
        (
            "edf/train/normal/01_tcp_ar/078/00007871/s001_2011_07_05",
            "00007871_s001_t001",
            ("train", "01_tcp_ar", "normal"),
        ),
        ("dev/aaaaaaac/s001_2002/02_tcp_le", "aaaaaaac_s001_t000", ("dev", "02_tcp_le", "")),
        (".", "aaaaaaac_s001_t000", ("", "", "")),
    ],
)
def test_paths(folders: str, name: str, fields: tuple[str, str, str]) -> None:
    subject, session, run = name.split("_")
    official_split, acquisition, pathology = fields
    assert TUH.describe(f"{folders}/{name}.edf".removeprefix("./")) == {
        "subject": subject,
        "session": session,
        "run": run,
        "official_split": official_split,
        "acquisition": acquisition,
        "pathology": pathology,
    }


@pytest.mark.parametrize(
    "path",
    [
        "edf/eval/000/bckg_000_a_.edf",  # the names of TUEV's evaluation set
        "edf/aaaaaaaa_s001.edf",
        "edf/aaaaaaa_s001_t000.edf",
        "edf/aaaaaaaa_s001_t000.edf.bak",
        "AAAAAAAA_S001_T000.EDF",
    ],
)
def test_foreign_paths(path: str) -> None:
    assert TUH.describe(path) is None


def facts(patient: str) -> dict[str, object]:
    header = RecordingHeader(("EEG CZ-REF",), ("uV",), 250.0, (250.0,), 1000, (Segment(0, 1000, 0.0),), patient=patient)
    found: dict[str, object] = TUH.facts(header)
    return found


@pytest.mark.parametrize(
    ("patient", "age_years", "sex"),
    [
        ("aaaaaaav F 01-JAN-1985 aaaaaaav Age:31", 31.0, "F"),
        ("00002729 M 01-JAN-1950 00002729 Age:56", 56.0, "M"),
        ("aaaaaaay M 01-JAN-2015 aaaaaaay Age:0.0109", 0.0109, "M"),
        ("aaaaaaaf X 01-JAN-1999 aaaaaaaf Age: 7", 7.0, ""),
        ("mfmfmfmf X X mfmfmfmf", None, ""),
        ("X X X X", None, ""),
        ("", None, ""),
        ("aaaaaaaf F X aaaaaaaf Age:n/a", None, "F"),
        ("aaaaaaaf F X CoverAge:9", None, "F"),
    ],
)
def test_age_and_sex(patient: str, age_years: float | None, sex: str) -> None:
    assert facts(patient) == {"age_years": age_years, "sex": sex}


def test_reference_is_left_to_the_labels() -> None:
    assert TUH.reference is None
    assert TUH.layout == "1005"
