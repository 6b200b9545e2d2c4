"""Every raw file has one outcome, and the sum of the outcomes is what was seen."""

import pandas as pd
import pytest

from eegfm.jobs.ingest.tables import count_flags, file_outcomes_table, ingest_summary
from eegfm.store.index import RejectedEntry

RAW_FILES = pd.DataFrame(
    {
        "path": ["a.edf", "b.edf", "c.edf", "d.edf", "e.edf"],
        "recording_id": ["c:a", "c:b", "c:c", "c:d", "c:e"],
        "excluded": ["", "", "", "on the list", ""],
    }
)
RECORDINGS = pd.DataFrame(
    {
        "recording_id": ["c:a", "c:b", "c:e"],
        "flags": [[], ["clipped:Cz", "clipped:Pz", "dead_spans"], ["clipped:O1"]],
        "n_samples": [360000, 180000, 90000],
        "rate_hz": 100.0,
    }
)
REJECTED = [RejectedEntry("c:c", "k", "c.edf", "read", "truncated", "r", "m")]


def test_every_file_has_one_outcome_and_says_why() -> None:
    files = file_outcomes_table(RAW_FILES, RECORDINGS, REJECTED)
    assert files["outcome"].tolist() == ["in", "flagged", "rejected", "excluded", "flagged"]
    assert files["why"].tolist() == ["", "clipped:Cz clipped:Pz dead_spans", "truncated", "on the list", "clipped:O1"]


def test_outcomes_add_up() -> None:
    counts = ingest_summary(file_outcomes_table(RAW_FILES, RECORDINGS, REJECTED), RECORDINGS)
    assert counts["outcome"].tolist() == ["in", "flagged", "rejected", "excluded", "seen"]
    assert counts["files"].tolist() == [1, 2, 1, 1, 5]
    assert counts["hours"].tolist() == [1.0, 0.75, 0.0, 0.0, 1.75]
    assert counts["why"].tolist() == ["", "clipped 2, dead_spans 1", "truncated 1", "on the list 1", ""]


def test_nothing_but_rejections() -> None:
    raw = RAW_FILES.iloc[[2]]
    counts = ingest_summary(file_outcomes_table(raw, pd.DataFrame(), REJECTED), pd.DataFrame())
    assert counts["files"].tolist() == [0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("raw", "recordings", "rejected"),
    [
        (RAW_FILES, RECORDINGS.iloc[:2], REJECTED),  # e is nowhere
        (RAW_FILES, RECORDINGS, [*REJECTED, RejectedEntry("c:a", "k", "a.edf", "read", "x", "r", "m")]),  # a is twice
        (RAW_FILES.iloc[:4], RECORDINGS, REJECTED),  # e was never seen
        (RAW_FILES.assign(excluded=["no", "", "", "no", ""]), RECORDINGS, REJECTED),  # a is in and excluded
    ],
)
def test_accounts_that_do_not_add_up_are_our_mistake(
    raw: pd.DataFrame, recordings: pd.DataFrame, rejected: list[RejectedEntry]
) -> None:
    with pytest.raises(AssertionError):
        file_outcomes_table(raw, recordings, rejected)


def test_kinds_of_flags_are_counted_once_per_recording() -> None:
    assert count_flags(RECORDINGS) == "clipped 2, dead_spans 1"
    assert count_flags(RECORDINGS.iloc[:1]) == "none"
    assert count_flags(pd.DataFrame()) == "none"
