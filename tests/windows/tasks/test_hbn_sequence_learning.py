"""Blocks of sequence learning, made up and real."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from eegfm.windows.tasks.hbn_sequence_learning import HbnSequenceLearningTask
from found_windows import find_windows


def cut(table, found, **fields):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"block": HbnSequenceLearningTask(**fields)}))
    return windows, counts["block"]


def test_a_block_ends_with_its_last_dot(recordings, events):
    rows = [
        (1.0, "dot_no3_OFF"),  # before any block
        (2.0, "learningBlock_1"), (2.0, "dot_no1_ON"), (4.5, "dot_no1_OFF"), (6.5, "dot_no2_OFF"),
        (20.0, "learningBlock_2"),
        (30.0, "learningBlock_3"), (32.0, "dot_no1_ON"), (34.0, "dot_no12_OFF"), (35.0, "seqLearning_stop"),
    ]  # fmt: skip
    found = events([("c:r000", *row) for row in rows] + [("c:r001", 60.0, "dot_no1_OFF")])
    table = recordings([[(0, 9000)]] * 3, bids_task=["seqLearning6target", "seqLearning8target", "RestingState"])
    windows, counts = cut(table, found, left_out=("block_2", "block_4", "block_5"))
    assert windows[["start", "n_windows", "moment", "label"]].to_numpy().tolist() == [
        [200, 2, 0, "block_1"],
        [3000, 2, 0, "block_3"],
    ]
    assert (counts["n_events"], counts["n_events_without_dots"]) == (3, 1)
    assert (counts["n_recordings_without_window"], counts["n_recordings_of_other_tasks"]) == (1, 1)
    shuffled, _ = find_windows(HbnSequenceLearningTask(), table, found.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(shuffled.assign(cut="block"), windows)


def test_one_of_the_two_tasks_is_enough_where_none_is_given(recordings, events):
    rows = [(10.0 * n, f"learningBlock_{n}") for n in range(1, 6)] + [
        (10.0 * n + 5, "dot_no1_OFF") for n in range(1, 6)
    ]
    corpus = recordings([[(0, 9000)]], bids_task=["seqLearning6target"]), events([("c:r000", *row) for row in rows])
    assert set(cut(*corpus)[0]["label"]) == {f"block_{n}" for n in range(1, 6)}
    with pytest.raises(ConfigError, match="bids_tasks: 'seqLearning8target' matches none"):
        cut(*corpus, bids_tasks=("seqLearning6target", "seqLearning8target"))
    with pytest.raises(SplitError, match="no window of class '8_targets'"):
        cut(*corpus, classes="targets")


def plain_blocks(folder: Path) -> list[tuple[str, str, int, int]]:
    """Person, label, start and end of each block, from the rows of the files."""
    out = []
    for path in sorted(folder.glob("sub-*/eeg/*seqLearning*_events.tsv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                sample = round(float(row["onset"]) * 100)
                if row["value"].startswith("learningBlock_"):
                    out.append((path.name[:16], row["value"].replace("learningBlock", "block"), sample, sample))
                elif row["value"].endswith("_OFF"):
                    out[-1] = (*out[-1][:3], sample)
    return out


def test_blocks_of_twenty_persons(release_5, shared_data: Path):
    recordings, events = release_5
    windows, counts = cut(recordings, events)
    blocks = plain_blocks(shared_data / "hbn_meta" / "ds005509")
    assert counts["n_events"] == len(blocks) == 100
    expected = [
        (person, label, start + 200 * k, k)
        for person, label, start, stop in blocks
        for k in range((stop - start) // 200)
    ]
    every = expand(windows)
    names = every["recording_id"].str.extract(r"(sub-\w{12})_")[0]
    assert list(zip(names, every["label"], every["start"], every["moment"], strict=True)) == expected
    assert windows["label"].value_counts().to_dict() == {f"block_{k}": 20 for k in range(1, 6)}


def test_six_or_eight_targets(release_5):
    recordings, events = release_5
    windows, _ = cut(recordings, events, classes="targets")
    assert windows.groupby("label")["person"].nunique().to_dict() == {"6_targets": 6, "8_targets": 14}
    assert HbnSequenceLearningTask(classes="targets").target_spec == ("binary", ("6_targets", "8_targets"), (), "")
    assert len(HbnSequenceLearningTask().target_spec.classes) == 5
    only, counts = cut(recordings, events, bids_tasks=("seqLearning8target",))
    assert only["person"].nunique() == 14
    assert counts["n_recordings_of_other_tasks"] == len(recordings) - 14
    with pytest.raises(ValidationError, match="classes targets needs both of seqLearning6target, seqLearning8target"):
        HbnSequenceLearningTask(classes="targets", bids_tasks=("seqLearning8target",))
