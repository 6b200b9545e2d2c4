"""Reaction times of contrastChangeDetection: release 5 against an independent loop over its files."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eegfm.errors import SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.hbn_challenge_1 import HbnChallenge1Task

TASK = "contrastChangeDetection"


def cut(table, found):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"rt": HbnChallenge1Task()}))
    return windows, counts["rt"]


def plain_trials(path: Path) -> list[tuple[float, float]]:
    """Stimulus and reaction time of every answered trial, from the rows of a file."""
    with path.open(newline="") as file:
        rows = [(float(row["onset"]), row["value"]) for row in csv.DictReader(file, delimiter="\t")]
    rows.sort(key=lambda row: row[0])
    starts = [onset for onset, value in rows if value == "contrastTrial_start"]
    out = []
    for start, stop in itertools.pairwise(starts):
        shown = next((t for t, v in rows if start <= t < stop and v in ("left_target", "right_target")), None)
        if shown is None:
            continue
        pressed = next((t for t, v in rows if shown <= t < stop and v.endswith("_buttonPress")), None)
        out += [] if pressed is None else [(shown, pressed - shown)]
    return out


def test_release_5_gives_the_trials_of_the_challenge(release_5, shared_data: Path):
    recordings, events = release_5
    windows, counts = cut(recordings, events)
    assert (len(windows), windows["person"].nunique()) == (15_144, 260)
    assert round(windows["target"].mean(), 4) == 1.5894
    assert round(windows["target"].std(ddof=0), 4) == 0.3930
    assert counts["n_trials_closed"] == 17_880  # three fewer than all rows give: starts left over at time zero
    assert counts["n_trials_open"] == 745
    assert counts["n_trials_without_stimulus"] == 0
    assert counts["n_trials_without_response"] == 2_736
    assert counts["n_trials_out_of_range"] == counts["n_trials_across_gaps"] == 0
    assert (counts["n_recordings"], counts["n_recordings_without_window"]) == (744, 1)
    assert counts["n_recordings_of_other_tasks"] == 180
    assert set(windows["n_samples"]) == {200}
    files = sorted((shared_data / "hbn_meta" / "ds005509").glob(f"sub-*/eeg/*_task-{TASK}_*_events.tsv"))
    expected = [
        (f"hbn:{path.name.replace('_events.tsv', '_eeg')}", round(shown * 100) + 50, reaction_s)
        for path in files
        for shown, reaction_s in plain_trials(path)
    ]
    found = windows[["recording_id", "start", "target"]]
    names = found["recording_id"].str.replace(r"sub-\w+/eeg/", "", regex=True)
    assert len(files) == 745
    assert list(zip(names, found["start"], strict=True)) == [row[:2] for row in expected]
    np.testing.assert_allclose(found["target"], [row[2] for row in expected], atol=1e-9)


@pytest.mark.parametrize("seconds_kept", [0.0, 2.0])
def test_a_run_that_was_cut_off_loses_trials_and_not_itself(release_5, seconds_kept: float):
    """Whole seconds, as in the challenge's BDF, cost nothing either."""
    recordings, events = release_5
    table = recordings[recordings["bids_task"] == TASK].head(40)
    whole, _ = cut(table, events)
    shown_s = whole.groupby("recording_id")["start"].max() / 100
    stops = [int(shown_s.get(r, 20.0) + seconds_kept) * 100 for r in table["recording_id"]]
    short, counts = cut(table.assign(segment_stops=[[stop] for stop in stops]), events)
    assert counts["n_trials_out_of_range"] + counts["n_trials_across_gaps"] == len(whole) - len(short) > 0
    assert short["recording_id"].nunique() == whole["recording_id"].nunique()


def test_the_last_second_of_release_5_holds_no_trial(release_5):
    recordings, events = release_5
    stops = recordings["segment_stops"].map(lambda found: [*found[:-1], found[-1] // 100 * 100])
    assert len(cut(recordings.assign(segment_stops=stops), events)[0]) == 15_144


def test_order_of_events_and_recordings_is_irrelevant(release_5):
    recordings, events = release_5
    table = recordings[recordings["bids_task"] == TASK].head(60)
    windows, _ = cut(table, events)
    shuffled, _ = cut(table.sample(frac=1, random_state=1), events.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled, windows)


def test_a_corpus_without_the_task_is_told(recordings, events):
    with pytest.raises(SplitError, match=r"cut 'rt' gives no window of 2 recordings .*n_recordings_of_other_tasks 2"):
        cut(recordings([[(0, 900)]] * 2), events([]))
