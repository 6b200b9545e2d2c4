"""Answers of symbol search, made up and real."""

import csv
import itertools
from pathlib import Path

import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.hbn_symbol_search import HbnSymbolSearchTask


def cut(table, found, **fields):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"search": HbnSymbolSearchTask(**fields)}))
    return windows, counts["search"]


def test_windows_end_with_their_answer_and_begin_after_the_one_before(recordings, events):
    rows = [
        (1.0, "trialResponse", "1", "1"),  # no page before it
        (5.0, "newPage", None, None),
        (9.0, "trialResponse", "1", "1"),
        (10.5, "trialResponse", "1", "0"),  # sooner than the window is long
        (12.5, "trialResponse", "0", "1"),  # exactly as long
        (16.0, "trialResponse", None, "1"),
        (21.0, "trialResponse", "0", "0"),  # a segment ends at 20
        (25.0, "trialResponse", "2", "1"),
        (28.0, "trialResponse", "1", "1"),  # of another recording, without a page too
    ]
    found = events([("c:r001" if row[0] == 28 else "c:r000", *row[:2]) for row in rows])
    found["user_answer"] = pd.Series([row[2] for row in rows], dtype="str")
    found["correct_answer"] = pd.Series([row[3] for row in rows], dtype="str")
    table = recordings([[(0, 2000), (2000, 3000)], [(0, 3000)]], bids_task=["symbolSearch"] * 2)
    windows, counts = cut(table, found)
    assert windows[["start", "label"]].to_numpy().tolist() == [[700, "correct"], [1050, "incorrect"]]
    assert {name: n for name, n in counts.items() if name.startswith("n_responses")} == {
        "n_responses": 8,
        "n_responses_without_answer": 2,
        "n_responses_without_item_start": 2,
        "n_responses_sooner_than_window": 1,
        "n_responses_out_of_range": 1,
    }
    shuffled, _ = cut(table, found.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(shuffled, windows)
    with pytest.raises(ConfigError, match="'search': events have no column 'user_answer'"):
        cut(table, found.drop(columns="user_answer"))


def test_answers_of_twenty_persons(release_5, shared_data: Path):
    recordings, events = release_5
    windows, counts = cut(recordings, events)
    expected = []
    for path in sorted((shared_data / "hbn_meta" / "ds005509").glob("sub-*/eeg/*symbolSearch_events.tsv")):
        with path.open(newline="") as file:
            rows = [r for r in csv.DictReader(file, delimiter="\t") if r["value"] in ("newPage", "trialResponse")]
        for before, row in itertools.pairwise(rows):
            answered = row["value"] == "trialResponse" and row["user_answer"] in ("0", "1")
            end = round(float(row["onset"]) * 100)
            if answered and end - round(float(before["onset"]) * 100) >= 200:
                label = "correct" if row["user_answer"] == row["correct_answer"] else "incorrect"
                expected.append((path.name[:16], end - 200, label))
    names = windows["recording_id"].str.extract(r"(sub-\w{12})_")[0]
    assert list(zip(names, windows["start"], windows["label"], strict=True)) == expected
    assert (counts["n_responses"], counts["n_responses_without_answer"]) == (358, 3)
    assert counts["n_responses_sooner_than_window"] == 358 - 3 - len(expected) == 11
