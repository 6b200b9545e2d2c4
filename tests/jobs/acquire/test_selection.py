"""A source chooses objects by their paths alone."""

import logging
import re
from typing import Any

import pytest
import yaml

from eegfm.corpora.base import Corpus
from eegfm.corpora.config import EdfFolderCorpus, HbnCorpus, TuhCorpus
from eegfm.errors import EegfmError
from eegfm.jobs.acquire.config import AcquireParams, S3Source
from eegfm.jobs.acquire.selection import RemoteFile, select
from eegfm.project.checked import checked
from kedro_project import PROJECT_ROOT

HBN: Corpus = HbnCorpus().build("hbn")
HBN_PATHS = [
    "dataset_description.json",
    "participants.tsv",
    "task-RestingState_events.json",
    *(
        f"sub-{subject}/eeg/sub-{subject}_task-{task}_{end}"
        for subject in ("NDARB", "NDARA", "NDARC")
        for task in ("RestingState", "ThePresent")
        for end in ("eeg.bdf", "eeg.json", "events.tsv")
    ),
    "sub-NDARB/eeg/notes.txt",
    "derivatives/quality/sub-NDARC_quality.tsv",
]


def chosen(paths: list[str], corpus: Corpus, **source: Any) -> list[str]:
    files = [RemoteFile(path, 10, "e" * 32, 0) for path in paths]
    return [f.path for f in select(files, S3Source(url="s3://bucket/set", **source), corpus)]


def test_everything_by_default_in_path_order() -> None:
    assert chosen(HBN_PATHS, HBN) == sorted(HBN_PATHS)


def test_patterns_see_the_whole_path() -> None:
    found = chosen(HBN_PATHS, HBN, include=["*task-RestingState*", "*.tsv"], exclude=["*NDARB*", "*.json"])
    assert found == [
        "derivatives/quality/sub-NDARC_quality.tsv",
        "participants.tsv",
        *(
            f"sub-{s}/eeg/sub-{s}_task-{task}_{end}"
            for s in ("NDARA", "NDARC")
            for task, end in (
                ("RestingState", "eeg.bdf"),
                ("RestingState", "events.tsv"),
                ("ThePresent", "events.tsv"),
            )
        ),
    ]


def test_first_subjects_with_all_that_names_no_other() -> None:
    found = chosen(HBN_PATHS, HBN, max_subjects=2)
    assert found == sorted(p for p in HBN_PATHS if "NDARC" not in p)
    assert "participants.tsv" in found
    assert "sub-NDARB/eeg/notes.txt" in found
    assert chosen(HBN_PATHS, HBN, max_subjects=9) == sorted(HBN_PATHS)
    assert not any("NDARB" in p for p in chosen(HBN_PATHS, HBN, max_subjects=1)), "sorted, not as listed"


def test_subjects_are_counted_after_the_patterns() -> None:
    found = chosen(HBN_PATHS, HBN, exclude=["*NDARA*"], max_subjects=1)
    assert {p.split("/")[0] for p in found if p.startswith("sub-")} == {"sub-NDARB"}


def test_a_name_that_only_contains_an_id_is_kept() -> None:
    """Subject 2 is not chosen: its own files go, those in which a 2 stands for something else stay."""
    corpus: Corpus = EdfFolderCorpus(pattern="S{subject}/S{subject}R{run}.edf").build("mine")
    paths = ["S1/S1R2.edf", "S1/S1R2.edf.event", "S2/S2R1.edf", "S2/S2R1.edf.event", "S2/readme", "codes_v2.txt"]
    assert chosen(paths, corpus, max_subjects=1) == ["S1/S1R2.edf", "S1/S1R2.edf.event", "codes_v2.txt"]
    flat: Corpus = EdfFolderCorpus(pattern="{subject}_{run}.edf").build("mine")
    for a, b in ("12", "34", "56", "78"):
        runs = [f"{subject}_{run}.edf" for subject in (a, b) for run in (a, b)]
        found = chosen([*runs, f"table_{b}.csv"], flat, max_subjects=1)
        assert found == [f"{a}_{a}.edf", f"{a}_{b}.edf", f"table_{b}.csv"], "run 2 of subject 1 is not of subject 2"
    dated: Corpus = EdfFolderCorpus(pattern="{subject}/{session}.edf").build("mine")
    years = ["a/2018.edf", "b/2019.edf", "summary_2019.csv"]
    assert chosen(years, dated, max_subjects=1) == ["a/2018.edf", "summary_2019.csv"]


class Loose(Corpus):
    """Reads a subject off any path."""

    example = "a.edf"

    def describe(self, path: str) -> dict[str, str]:
        return {"subject": path.split(".", maxsplit=1)[0]}


def test_only_files_of_the_corpus_kind_have_subjects() -> None:
    assert chosen(["a.txt", "b.edf", "c.EDF"], Loose("loose"), max_subjects=1) == ["a.txt", "b.edf"]


def test_subjects_are_those_that_the_corpus_reads() -> None:
    paths = [f"edf/eval/normal/01_tcp_ar/{s}_s00{n}_t000.{e}" for s in "yx" for n in (1, 2) for e in ("edf", "csv")]
    paths = [p.replace("/y", "/aaaaaaab").replace("/x", "/aaaaaaac") for p in paths]
    found = chosen(paths, TuhCorpus().build("tuh"), max_subjects=1)
    assert len(found) == 4
    assert all("aaaaaaab" in p for p in found)


@pytest.mark.parametrize("hidden", [".git/sub-A_task-x_eeg.bdf", "sub-A/.sub-A_task-x_eeg.bdf"])
def test_hidden_recordings_are_none(hidden: str) -> None:
    with pytest.raises(EegfmError, match=r"none of the 1 objects .* is a recording of corpus hbn; expected .*\.bdf"):
        chosen([hidden], HBN)


def test_nothing_chosen_says_what_there_is() -> None:
    with pytest.raises(EegfmError, match=r"s3://bucket/set holds no object; correct acquire\.source\.url"):
        chosen([], HBN)
    with pytest.raises(EegfmError, match=r"none of the 23 objects .* include=\['\*\.xyz'\].*dataset_description\.json"):
        chosen(HBN_PATHS, HBN, include=["*.xyz"])
    with pytest.raises(EegfmError, match=r"is a recording of corpus tuh; expected .* chosen are, e\.g\., dataset_desc"):
        chosen(HBN_PATHS, TuhCorpus().build("tuh"))


def test_a_pattern_that_matches_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="eegfm"):
        chosen(HBN_PATHS, HBN, include=["*", "*.fdt"], exclude=["*NDARD*", "*NDARC*"])
    assert caplog.messages == [
        "acquire.source.include: '*.fdt' matches no object of s3://bucket/set",
        "acquire.source.exclude: '*NDARD*' matches no object of s3://bucket/set",
    ]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../evil.bdf", "no path inside"),
        ("sub-A/../../evil.bdf", "no path inside"),
        ("/etc/passwd", "no path inside"),
        ("a//b", "no path inside"),
        ("./a", "no path inside"),
        ("..\\evil", "no path inside"),
        ("a\0b", "no path inside"),
        (".eegfm_source.jsonl", "keeps for itself"),
        (".eegfm_aside/x", "keeps for itself"),
        ("sub-NDARA/eeg", "object and a folder"),
    ],
)
def test_unsafe_keys_are_refused_unless_excluded(path: str, problem: str) -> None:
    with pytest.raises(EegfmError, match=rf"key .* {problem}.*; leave it out by acquire\.source\.exclude"):
        chosen([*HBN_PATHS, path], HBN)
    exclude = [path, "*/../*"]
    assert path not in chosen([*HBN_PATHS, path], HBN, exclude=exclude)


def test_hidden_files_of_a_dataset_come_along() -> None:
    assert ".bidsignore" in chosen([*HBN_PATHS, ".bidsignore"], HBN)


@pytest.mark.parametrize(
    ("etag", "md5"),
    [("0123456789abcdef" * 2, "0123456789abcdef" * 2), ("0123456789abcdef" * 2 + "-3", ""), ("W/x", "")],
)
def test_only_a_plain_etag_is_an_md5(etag: str, md5: str) -> None:
    assert RemoteFile("a", 1, etag, 0).md5 == md5


def test_examples_of_the_documentation_are_valid() -> None:
    text = (PROJECT_ROOT / "docs" / "sources.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    sources = [checked(AcquireParams, corpus["acquire"], "x").source for block in blocks for corpus in block.values()]
    assert [s.bucket for s in sources if isinstance(s, S3Source)] == ["nmdatasets", "openneuro.org", "physionet-open"]
