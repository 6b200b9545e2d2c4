"""The published layouts of the TUH corpora, their annotation files, and what their EDF headers tell."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eegfm.corpora.base import Details
from eegfm.corpora.config import TuhCorpus
from eegfm.corpora.tuh import Tuh
from eegfm.errors import EegfmError, RecordingError
from eegfm.jobs.ingest.config import IngestParams, WorkerParams
from eegfm.signal.header import Annotation, RecordingHeader, Segment
from tone_corpus import run_ingest
from tuh_tree import NINETEEN, TCP_NAMES, csv_text, write_recording

TUH: Tuh = TuhCorpus().build("tuh")
MUST_SHOW_EDF = ("tueg", "tuar", "tusl")
FAMILIES = ("tueg", "tuab", "tuev", "tuar", "tusz", "tusl", "tuep")
EMPTY = dict.fromkeys(
    ("subject", "session", "session_date", "run", "official_split", "acquisition", "pathology", "epilepsy"), ""
)

# fmt: off
DOCUMENTED: list[tuple[str, dict[str, str]]] = [
    ("edf/000/aaaaaaaa/s001_2015_12_30/01_tcp_ar/aaaaaaaa_s001_t000.edf",
     {"family": "tueg", "subject": "aaaaaaaa", "session": "s001", "session_date": "2015-12-30", "run": "t000",
      "acquisition": "01_tcp_ar"}),
    ("edf/01_tcp_ar/027/00002729/s001_2006_04_12/00002729_s001_t000.edf",
     {"family": "tueg", "subject": "00002729", "session": "s001", "session_date": "2006-04-12", "run": "t000",
      "acquisition": "01_tcp_ar"}),
    ("edf/train/normal/01_tcp_ar/aaaaamye_s001_t000.edf",
     {"family": "tuab", "subject": "aaaaamye", "session": "s001", "run": "t000", "acquisition": "01_tcp_ar",
      "official_split": "train", "pathology": "normal"}),
    ("edf/eval/abnormal/01_tcp_ar/aaaaamye_s002_t001.edf",
     {"family": "tuab", "subject": "aaaaamye", "session": "s002", "run": "t001", "acquisition": "01_tcp_ar",
      "official_split": "eval", "pathology": "abnormal"}),
    ("edf/train/normal/01_tcp_ar/078/00007871/s001_2011_07_05/00007871_s001_t001.edf",
     {"family": "tuab", "subject": "00007871", "session": "s001", "session_date": "2011-07-05", "run": "t001",
      "acquisition": "01_tcp_ar", "official_split": "train", "pathology": "normal"}),
    ("edf/train/aaaaaaar/aaaaaaar_00000001.edf",
     {"family": "tuev", "subject": "aaaaaaar", "run": "00000001", "official_split": "train"}),
    ("edf/train/00002275/00002275_00000001.edf",
     {"family": "tuev", "subject": "00002275", "run": "00000001", "official_split": "train"}),
    ("edf/eval/000/bckg_000_a_.edf",
     {"family": "tuev", "subject": "000", "run": "bckg_a", "official_split": "eval"}),
    ("edf/eval/001/pled_001_a_2.edf",
     {"family": "tuev", "subject": "001", "run": "pled_a_2", "official_split": "eval"}),
    ("edf/03_tcp_ar_a/aaaaaaju_s005_t000.edf",
     {"family": "tuar", "subject": "aaaaaaju", "session": "s005", "run": "t000", "acquisition": "03_tcp_ar_a"}),
    ("edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf",
     {"family": "tusz", "subject": "aaaaaajy", "session": "s001", "session_date": "2003", "run": "t000",
      "acquisition": "02_tcp_le", "official_split": "train"}),
    ("edf/dev/aaaaaqvx/s003_2015_08_24/04_tcp_le_a/aaaaaqvx_s003_t012.edf",
     {"family": "tusz", "subject": "aaaaaqvx", "session": "s003", "session_date": "2015-08-24", "run": "t012",
      "acquisition": "04_tcp_le_a", "official_split": "dev"}),
    ("edf/dev/01_tcp_ar/002/00000258/s002_2003_07_21/00000258_s002_t000.edf",
     {"family": "tusz", "subject": "00000258", "session": "s002", "session_date": "2003-07-21", "run": "t000",
      "acquisition": "01_tcp_ar", "official_split": "dev"}),
    ("edf/aaaaaaju/s002_2009/01_tcp_ar/aaaaaaju_s002_t000.edf",
     {"family": "tusl", "subject": "aaaaaaju", "session": "s002", "session_date": "2009", "run": "t000",
      "acquisition": "01_tcp_ar"}),
    ("00_epilepsy/aaaaaanr/s001_2003/02_tcp_le/aaaaaanr_s001_t001.edf",
     {"family": "tuep", "subject": "aaaaaanr", "session": "s001", "session_date": "2003", "run": "t001",
      "acquisition": "02_tcp_le", "epilepsy": "epilepsy"}),
    ("01_no_epilepsy/aaaaaebo/s001_2006/02_tcp_le/aaaaaebo_s001_t000.edf",
     {"family": "tuep", "subject": "aaaaaebo", "session": "s001", "session_date": "2006", "run": "t000",
      "acquisition": "02_tcp_le", "epilepsy": "no_epilepsy"}),
]
# fmt: on


@pytest.mark.parametrize(("path", "fields"), DOCUMENTED)
def test_paths_of_the_readme_files(path: str, fields: dict[str, str]) -> None:
    assert TUH.describe(path) == EMPTY | fields


@pytest.mark.parametrize(("path", "fields"), DOCUMENTED)
def test_the_raw_folder_may_be_the_folder_edf_or_lie_above_it(path: str, fields: dict[str, str]) -> None:
    for root in ("v2.0.1/", "data/tuh_eeg_abnormal/v3.0.1/"):
        assert TUH.describe(root + path) == EMPTY | fields
    below = path.removeprefix("edf/")
    assert TuhCorpus(family=fields["family"]).build("tuh").describe(below) == EMPTY | fields
    # TUSZ or TUAB below "train" would look the same, and lose their official split.
    assert TUH.describe(below) == (None if fields["family"] in MUST_SHOW_EDF else EMPTY | fields)


@pytest.mark.parametrize(("path", "fields"), DOCUMENTED)
def test_a_family_that_is_named_refuses_the_others(path: str, fields: dict[str, str]) -> None:
    for family in FAMILIES:
        found = TuhCorpus(family=family).build("tuh").describe(path)
        assert found == (EMPTY | fields if family == fields["family"] else None)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_example_of_each_family_is_one(family: str) -> None:
    corpus = TuhCorpus(family=family).build("tuh")
    assert corpus.describe(corpus.example)["family"] == family


@pytest.mark.parametrize(
    "path",
    [
        "edf/aaaaaaaa_s001.edf",
        "aaaaaaac_s001_t000.edf",  # whose split and montage nobody knows
        "edf/01_tcp_ar/aaaaaaa_s001_t000.edf",
        "edf/01_tcp_ar/aaaaaaaa_s001_t000.edf.bak",
        "edf/01_tcp_ar/AAAAAAAA_S001_T000.EDF",
        "edf/05_tcp_xx/aaaaaaaa_s001_t000.edf",
        # The raw folder is too deep, the official split is hidden: TUAB, TUAB v2, TUSZ, TUEP.
        "normal/01_tcp_ar/aaaaamye_s001_t000.edf",
        "01_tcp_ar/aaaaamye_s001_t000.edf",
        "01_tcp_ar/078/00007871/s001_2011_07_05/00007871_s001_t001.edf",
        "aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf",
        "edf/dev/normal/01_tcp_ar/aaaaamye_s001_t000.edf",
        "edf/eval/000/bckg_001_a_.edf",
        "edf/train/aaaaaaar/aaaaaaas_00000001.edf",
        "edf/eval/aaaaaaar/aaaaaaar_00000001.edf",
        "edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajz_s001_t000.edf",
        "edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s002_t000.edf",
        "edf/train/aaaaaajy/s001_03/02_tcp_le/aaaaaajy_s001_t000.edf",
        "00_no_epilepsy/aaaaaebo/s001_2006/02_tcp_le/aaaaaebo_s001_t000.edf",
        "01_epilepsy/aaaaaebo/s001_2006/02_tcp_le/aaaaaebo_s001_t000.edf",
    ],
)
def test_paths_that_fit_nothing_or_contradict_themselves(path: str) -> None:
    assert TUH.describe(path) is None


def made_path(family: str, rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A path of one family, built from parts, and what it says."""

    def pick(*options: str) -> str:
        return options[rng.integers(len(options))]

    letters = "".join(chr(97 + i) for i in rng.integers(26, size=8))
    subject = pick(letters, f"{rng.integers(10**8):08d}")
    session, run = f"s{rng.integers(1000):03d}", f"t{rng.integers(1000):03d}"
    montage = pick("01_tcp_ar", "02_tcp_le", "03_tcp_ar_a", "04_tcp_le_a")
    date = pick("", "2003", f"20{rng.integers(20):02d}_{rng.integers(1, 13):02d}_{rng.integers(1, 29):02d}")
    fields = {"subject": subject, "session": session, "run": run, "acquisition": montage, "family": family}
    dated = {**fields, "session_date": date.replace("_", "-")}
    name, folder = f"{subject}_{session}_{run}.edf", f"{session}_{date}".rstrip("_")
    new, old = f"{subject}/{folder}/{montage}/{name}", f"{montage}/{rng.integers(1000):03d}/{subject}/{folder}/{name}"
    split, kind = pick("train", "eval"), pick("normal", "abnormal")
    if family == "tueg":
        return pick(f"{rng.integers(1000):03d}/{new}", old), dated
    if family == "tuab":
        fields |= {"official_split": split, "pathology": kind}
        flat = f"{split}/{kind}/{montage}/{name}"
        return (flat, fields) if rng.integers(2) else (f"{split}/{kind}/{old}", fields | dated)
    if family == "tusz":
        split = pick("train", "dev", "eval")
        return f"{split}/{pick(new, old)}", {**dated, "official_split": split}
    if family == "tuep":
        folder, epilepsy = [("00_epilepsy", "epilepsy"), ("01_no_epilepsy", "no_epilepsy")][rng.integers(2)]
        return f"{folder}/{new}", {**dated, "epilepsy": epilepsy}
    if family == "tuev":
        number, part = f"{rng.integers(1000):03d}", pick("", "1", "12")
        if rng.integers(2):
            fields = {"subject": number, "official_split": "eval", "run": f"gped_a_{part}".rstrip("_")}
            return f"eval/{number}/gped_{number}_a_{part}.edf", {**fields, "family": family}
        fields = {"subject": subject, "official_split": "train", "run": f"{rng.integers(10**8):08d}"}
        return f"train/{subject}/{subject}_{fields['run']}.edf", {**fields, "family": family}
    return (f"{montage}/{name}", fields) if family == "tuar" else (new, dated)


@pytest.mark.parametrize("family", FAMILIES)
def test_generated_paths_are_read_and_damaged_ones_are_not(family: str) -> None:
    rng = np.random.default_rng(FAMILIES.index(family))
    for _ in range(100):
        path, fields = made_path(family, rng)
        root = ("edf/", "v1/edf/", "edf/edf/", "")[rng.integers(3 if family in MUST_SHOW_EDF else 4)]
        assert TUH.describe(root + path) == EMPTY | fields, path
        # The folder and the name of the file disagree on whose recording it is.
        stem = path.rsplit("/", 1)[-1]
        other = stem.replace(fields["subject"], fields["subject"][::-1])
        if other != stem and f"/{fields['subject']}/" in f"/{path}":
            assert TUH.describe(f"edf/{path.replace(stem, other)}") is None, path
        for broken in (path + "x", path.replace(".edf", ".EDF"), path.replace("_", "-"), "x" + path):
            assert TUH.describe(f"edf/{broken}") is None, broken
        assert TUH.describe("x/" + path) == (EMPTY | fields if family == "tuep" else None)


def test_normal_and_abnormal_are_labels_of_recordings_not_of_persons() -> None:
    first = TUH.describe("edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf")
    second = TUH.describe("edf/train/abnormal/01_tcp_ar/aaaaaaab_s004_t000.edf")
    assert first is not None
    assert second is not None
    assert first["subject"] == second["subject"]
    assert (first["pathology"], second["pathology"]) == ("normal", "abnormal")
    assert TUH.labels(Path()) is None


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_index_of_a_whole_tree_accounts_for_every_file(tmp_path: Path) -> None:
    paths = [path for path, _ in DOCUMENTED]
    touch(tmp_path, *paths, "edf/odd.edf", "edf/train/normal/readme.edf", "DOCS/notes.txt")
    table = TUH.index(tmp_path)
    assert sorted(table["path"]) == sorted([*paths, "edf/odd.edf", "edf/train/normal/readme.edf"])
    rows = table.set_index("path")
    assert set(rows.index[rows["excluded"] != ""]) == {"edf/odd.edf", "edf/train/normal/readme.edf"}
    for path, fields in DOCUMENTED:
        assert rows.loc[path, list(EMPTY)].to_dict() == EMPTY | {k: v for k, v in fields.items() if k != "family"}
    assert (rows.loc["edf/odd.edf", list(EMPTY)] == "").all()
    assert table["recording_id"].is_unique


@pytest.mark.parametrize("old", [False, True])
def test_of_a_session_under_two_montages_the_last_is_kept(tmp_path: Path, old: bool) -> None:
    def path(montage: str, run: str) -> str:
        session, name = "aaaaaqvx/s003_2015_08_24", f"aaaaaqvx_s003_{run}.edf"
        return f"edf/eval/{montage}/000/{session}/{name}" if old else f"edf/eval/{session}/{montage}/{name}"

    kept = [path("03_tcp_ar_a", "t000"), path("01_tcp_ar", "t001"), path("02_tcp_le", "t002")]
    touch(tmp_path, *kept, path("01_tcp_ar", "t000"), path("01_tcp_ar", "t002"))
    excluded = TUH.index(tmp_path).set_index("path")["excluded"]
    assert set(excluded.index[excluded == ""]) == set(kept)
    assert excluded[path("01_tcp_ar", "t000")] == f"the same recording under another montage is kept: {kept[0]}"
    assert excluded[path("01_tcp_ar", "t002")].endswith(kept[2])


def test_the_same_name_in_two_corpora_stays_two_recordings(tmp_path: Path) -> None:
    name = "s001_2015/01_tcp_ar/aaaaaaaa_s001_t000.edf"
    touch(tmp_path, f"tueg/edf/000/aaaaaaaa/{name}", f"tusz/edf/dev/aaaaaaaa/{name}")
    table = TUH.index(tmp_path)
    assert (table["excluded"] == "").all()
    assert table["recording_id"].nunique() == 2
    assert table["subject"].tolist() == ["aaaaaaaa"] * 2


def test_a_raw_folder_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "edf/train/normal/01_tcp_ar/aaaaaaab_s001_t000.edf")
    for folder in ("edf/train", "edf/train/normal"):
        with pytest.raises(EegfmError, match=r"none in the layout of .*expected are files like edf/train/normal/"):
            TUH.index(tmp_path / folder)
    touch(tmp_path, "edf/dev/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf")
    with pytest.raises(EegfmError, match="none in the layout"):
        TUH.index(tmp_path / "edf/dev")
    with pytest.raises(EegfmError, match=r"like edf/train/aaaaaajy/s001_2003"):
        TuhCorpus(family="tusz").build("tuh").index(tmp_path / "edf/dev")


SIDECARS = {
    "edf/000/aaaaaaaa/s001_2015_12_30/01_tcp_ar/aaaaaaaa_s001_t000.edf": ("tueg", ()),
    "edf/train/normal/01_tcp_ar/aaaaamye_s001_t000.edf": ("tuab", ()),
    "edf/eval/001/pled_001_a_2.edf": ("tuev", (".rec", *(f"_ch{i:03d}.lab" for i in range(22)))),
    "edf/train/aaaaaaar/aaaaaaar_00000001.edf": ("tuev", (".rec", *(f"_ch{i:03d}.lab" for i in range(22)))),
    "edf/03_tcp_ar_a/aaaaaaju_s005_t000.edf": ("tuar", (".csv", "_seiz.csv")),
    "edf/train/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf": ("tusz", (".csv", ".csv_bi", ".tse", ".tse_bi")),
    "edf/aaaaaaju/s002_2009/01_tcp_ar/aaaaaaju_s002_t000.edf": ("tusl", (".csv",)),
    "00_epilepsy/aaaaaanr/s001_2003/02_tcp_le/aaaaaanr_s001_t001.edf": ("tuep", (".csv", ".csv_bi")),
}


@pytest.mark.parametrize(("path", "known"), SIDECARS.items())
def test_a_changed_annotation_file_makes_the_recording_stale(
    tmp_path: Path, path: str, known: tuple[str, tuple[str, ...]]
) -> None:
    family, suffixes = known
    named = TuhCorpus(family=family).build("tuh")
    assert set(named.sidecars(path)) == {path.removesuffix(".edf") + suffix for suffix in suffixes}
    assert set(TUH.sidecars(path)) >= set(named.sidecars(path))
    touch(tmp_path, path)
    for suffix in suffixes:
        before = TUH.index(tmp_path)["sidecars"].tolist()
        (tmp_path / (path.removesuffix(".edf") + suffix)).write_text(suffix)
        assert TUH.index(tmp_path)["sidecars"].tolist() != before


def header(
    patient: str = "", duration_s: float = 20.0, gap_s: float = 0.0, notes: tuple[Annotation, ...] = ()
) -> RecordingHeader:
    """Of a recording of 250 Hz; with a gap in its middle if asked for."""
    n, half = round(duration_s * 250), round(duration_s * 125)
    segments = (Segment(0, half, 0.0), Segment(half, n, half / 250 + gap_s))
    labels, units, rates = ("EEG CZ-REF",), ("uV",), (250.0,)
    return RecordingHeader(labels, units, 250.0, rates, n, segments, patient=patient, annotations=notes)


@pytest.mark.parametrize(
    ("patient", "age_years", "sex"),
    [
        ("aaaaaaav F 01-JAN-1985 aaaaaaav Age:31", 31.0, "F"),
        ("00002729 M 01-JAN-1950 00002729 Age:56", 56.0, "M"),
        ("aaaaaaay M 01-JAN-2015 aaaaaaay Age:0.0109", 0.0109, "M"),
        ("/aa F 01-JAN-0000 /aa Age:19", 19.0, "F"),
        ("000 F 01-JAN-0000 000 Age:36", 36.0, "F"),
        ("aaaaaaaf X 01-JAN-1999 aaaaaaaf Age: 7", 7.0, ""),
        ("aaaaaaaf X 01-JAN-1999 aaaaaaaf M Age:7", 7.0, ""),  # the initial of a name is no sex
        ("mfmfmfmf X X mfmfmfmf", None, ""),
        ("M X X X", None, ""),
        ("X X X X", None, ""),
        ("", None, ""),
        ("aaaaaaaf F X aaaaaaaf Age:n/a", None, "F"),
        ("aaaaaaaf F X CoverAge:9", None, "F"),
        ("aaaaaaaf F", None, "F"),
    ],
)
def test_age_and_sex(tmp_path: Path, patient: str, age_years: float | None, sex: str) -> None:
    found = TUH.details(tmp_path / "aaaaaaav_s001_t000.edf", header(patient))
    assert found == Details(events=[], facts={"age_years": age_years, "sex": sex}, flags=())


def row(
    onset_s: float, stop_s: float, value: str, channel: str, confidence: float | None, source: str
) -> dict[str, Any]:
    duration_s = pytest.approx(stop_s - onset_s)
    event = {"onset_s": pytest.approx(onset_s), "duration_s": duration_s, "value": value}
    return {**event, "channel": channel, "confidence": confidence, "source": source}


def test_all_annotation_files_give_events_with_their_source(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    edf.with_suffix(".csv").write_text(csv_text(["FP1-F7,1.5,9.25,cpsz,0.8"]))
    edf.with_suffix(".csv_bi").write_text(csv_text(["TERM,0.0,20.0,bckg,1.0"]))
    edf.with_suffix(".tse").write_text("version = tse_v1.0.0\n\n2.0 3.0 fnsz 1.0\n")
    edf.with_suffix(".tse_bi").write_text("version = tse_v1.0.0\n\n2.0 4.0 seiz 1.0\n")
    (tmp_path / "aaaaaaav_s001_t000_seiz.csv").write_text(csv_text(["F7-T3,5.0,6.0,seiz,"]))
    (tmp_path / "aaaaaaav_s001_t001.csv").write_text("of another recording")
    details = TUH.details(edf, header(notes=(Annotation(0.5, float("nan"), "eyes open"),)))
    assert details.events == [
        {"onset_s": 0.5, "duration_s": None, "value": "eyes open", "channel": "", "confidence": None, "source": "edf"},
        row(1.5, 9.25, "cpsz", "FP1-F7", 0.8, "csv"),
        row(0.0, 20.0, "bckg", "TERM", 1.0, "csv_bi"),
        row(5.0, 6.0, "seiz", "F7-T3", None, "seiz.csv"),
        row(2.0, 3.0, "fnsz", "TERM", 1.0, "tse"),
        row(2.0, 4.0, "seiz", "TERM", 1.0, "tse_bi"),
    ]
    assert details.flags == ()
    named = TuhCorpus(family="tuep").build("tuh").details(edf, header())
    assert [event["source"] for event in named.events] == ["csv", "csv_bi"]


def test_ends_beyond_the_recording_are_cut_and_later_starts_dropped(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    rows = ["TERM,0,20.0,a,1", "TERM,0,20.0019,b,1", "TERM,0,20.01,c,1", "TERM,19.999,90,d,1"]
    edf.with_suffix(".csv").write_text(csv_text([*rows, "TERM,20,21,e,1", "TERM,20,20,f,1", "TERM,500,501,g,1"]))
    details = TUH.details(edf, header())
    assert [(e["value"], round(e["onset_s"] + e["duration_s"], 9)) for e in details.events] == [
        (value, 20.0) for value in "abcd"
    ]
    assert details.flags == ("annotations_clipped:2", "annotations_beyond_end:3")


def test_the_end_of_a_recording_with_a_gap_counts_the_gap(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    edf.with_suffix(".csv").write_text(csv_text(["TERM,22,24,a,1", "TERM,24,26,b,1", "TERM,25,26,c,1"]))
    details = TUH.details(edf, header(gap_s=5.0))
    assert [(e["value"], e["duration_s"]) for e in details.events] == [("a", 2.0), ("b", 1.0)]
    assert details.flags == ("annotations_clipped:1", "annotations_beyond_end:1")


@pytest.mark.parametrize("suffix", [".csv", ".csv_bi", ".tse", ".tse_bi", "_seiz.csv"])
def test_a_damaged_annotation_file_rejects_the_recording(tmp_path: Path, suffix: str) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    (tmp_path / f"aaaaaaav_s001_t000{suffix}").write_text("<html>404</html>")
    with pytest.raises(RecordingError) as caught:
        TUH.details(edf, header())
    assert caught.value.code == "unreadable_annotations"
    assert caught.value.reason.startswith(f"aaaaaaav_s001_t000{suffix}: line 1: ")


def test_a_link_to_an_annotation_file_that_is_not_fetched_is_no_absence(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    edf.with_suffix(".csv").symlink_to(tmp_path / "annex" / "a.csv")
    with pytest.raises(FileNotFoundError):
        TUH.details(edf, header())


@pytest.mark.parametrize("name", ["bckg_000_a_.edf", "aaaaaaar_00000001.edf"])
@pytest.mark.parametrize("ticks_per_s", [100_000, 10_000_000])
def test_events_of_tuev(tmp_path: Path, name: str, ticks_per_s: int) -> None:
    stem = name.removesuffix(".edf")
    (tmp_path / f"{stem}.rec").write_text("13,9.4,10.4,6\n0,1.0,2.0,1\n13,9.4,10.4,6\n")
    for channel in range(22):
        lines = {13: [f"{int(9.4 * ticks_per_s)} {int(10.4 * ticks_per_s)} bckg"],
                 0: [f"{ticks_per_s} {2 * ticks_per_s} spsw"]}.get(channel, [])  # fmt: skip
        (tmp_path / f"{stem}_ch{channel:03d}.lab").write_text("".join(line + "\n" for line in lines))
    details = TUH.details(tmp_path / name, header())
    assert details.events == [
        row(9.4, 10.4, "bckg", "T4-A2", None, "rec"),
        row(1.0, 2.0, "spsw", "FP1-F7", None, "rec"),
        row(1.0, 2.0, "spsw", "FP1-F7", None, "lab"),
        row(9.4, 10.4, "bckg", "T4-A2", None, "lab"),
    ]
    assert details.flags == ()


def test_lab_files_are_used_only_where_a_rec_file_tells_their_unit(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaar_00000001.edf"
    lab = tmp_path / "aaaaaaar_00000001_ch004.lab"
    lab.write_text("100000 200000 spsw\n")
    assert TUH.details(edf, header())[:3:2] == ([], ("lab_without_rec",))
    edf.with_suffix(".rec").write_text("4,3.0,4.0,1\n")
    with pytest.raises(RecordingError) as caught:
        TUH.details(edf, header())
    assert caught.value.code == "annotations_disagree"
    edf.with_suffix(".rec").write_text("4,1.0,2.0,1\n")
    assert [e["source"] for e in TUH.details(edf, header()).events] == ["rec", "lab"]
    lab.unlink()
    assert [e["channel"] for e in TUH.details(edf, header()).events] == [TCP_NAMES[4]]


def test_the_length_of_a_signal_is_expected_as_annotations_state_it(tmp_path: Path) -> None:
    edf = tmp_path / "aaaaaaav_s001_t000.edf"
    assert TUH.expected(edf).duration_s is None
    edf.with_suffix(".csv").write_text(csv_text([], duration_s=None))
    assert TUH.expected(edf).duration_s is None
    edf.with_suffix(".csv_bi").write_text(csv_text([], duration_s=301.0))
    assert (TUH.expected(edf).duration_s, TUH.expected(edf).source) == (301.0, "aaaaaaav_s001_t000.csv_bi")
    assert TUH.expected(edf).rates_hz == ()
    edf.with_suffix(".csv").write_text(csv_text([], duration_s=301.9))
    assert (TUH.expected(edf).duration_s, TUH.expected(edf).source) == (301.9, "aaaaaaav_s001_t000.csv")
    edf.with_suffix(".csv").write_text(csv_text([], duration_s=302.1))
    with pytest.raises(RecordingError, match=r"aaaaaaav_s001_t000\.csv 302\.1 s, aaaaaaav_s001_t000\.csv_bi 301 s"):
        TUH.expected(edf)


def test_reference_is_left_to_the_labels() -> None:
    assert TUH.reference is None
    assert TUH.layout == "1005"


CANARY = "Canary_Jane"
PARAMS = IngestParams(corpus=TuhCorpus(), workers=WorkerParams(n_workers=1), max_rejected_ratio=0.5)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Recordings of four corpora, of which one has annotations of another version of the signal."""
    root, store = tmp_path_factory.mktemp("tuh"), tmp_path_factory.mktemp("store")
    patient = f"CANARY77 F 31-FEB-1977 {CANARY} Age:31"
    tuab = write_recording(root, "edf/eval/abnormal/01_tcp_ar/aaaaaaav_s001_t000.edf", patient=patient)
    tusz = write_recording(
        root, "edf/dev/aaaaaajy/s001_2003/02_tcp_le/aaaaaajy_s001_t000.edf", suffix="LE", patient=patient
    )
    tusz.with_suffix(".csv").write_text(csv_text(["FP1-F7,2.5,4.0,cpsz,0.75", "FP1-F7,3,99,bckg,1"]))
    tuar = write_recording(root, "edf/03_tcp_ar_a/aaaaaaju_s005_t000.edf", electrodes=NINETEEN, patient=patient)
    tuar.with_suffix(".csv").write_text(csv_text(["FP1-F7,1,2,eyem_musc,1"], duration_s=40.0))
    write_recording(root, "edf/eval/000/bckg_000_a_.edf", patient=patient).with_suffix(".rec").write_text("8,1,2,3\n")
    write_recording(root, f"edf/{CANARY}.edf", patient=patient).rename(tuab.with_name("odd.edf"))
    return run_ingest(root, store, PARAMS), store


def test_ingestion_of_a_tree_of_several_corpora(ingested: tuple[Any, Path]) -> None:
    done, _ = ingested
    recordings = done.recordings.set_index("subject")
    assert recordings["pathology"].to_dict() == {"aaaaaaav": "abnormal", "aaaaaajy": "", "000": ""}
    assert recordings["official_split"].to_dict() == {"aaaaaaav": "eval", "aaaaaajy": "dev", "000": "eval"}
    assert recordings["reference"].to_dict() == {"aaaaaaav": "average", "aaaaaajy": "linked_ears", "000": "average"}
    assert recordings["age_years"].tolist() == [31.0] * 3
    assert set(recordings["sex"]) == {"F"}
    assert set(recordings["n_channels"]) == {21}
    assert "annotations_clipped:1" in recordings.loc["aaaaaajy", "flags"]
    assert done.rejected[["path", "code"]].to_numpy().tolist() == [
        ["edf/03_tcp_ar_a/aaaaaaju_s005_t000.edf", "length_mismatch"]
    ]
    events = done.events[["onset_s", "duration_s", "value", "channel", "source"]].to_numpy().tolist()
    assert sorted(events) == [
        [1.0, 1.0, "pled", "A1-T3", "rec"],
        [2.5, 1.5, "cpsz", "FP1-F7", "csv"],
        [3.0, 17.0, "bckg", "FP1-F7", "csv"],
    ]


def test_nothing_of_who_a_patient_is_gets_into_a_table(ingested: tuple[Any, Path]) -> None:
    done, store = ingested
    pattern = re.compile("canary|jane|1977|31-feb", re.IGNORECASE)
    for table in (done.recordings, done.events, done.rejected, done.file_outcomes):
        assert len(table)
        assert not pattern.search(table.to_csv())
    texts = [path.read_bytes() for path in store.rglob("*") if path.is_file()]
    assert len(texts) >= 2
    assert not [text for text in texts if re.search(rb"(?i)canary|31-feb", text)]
