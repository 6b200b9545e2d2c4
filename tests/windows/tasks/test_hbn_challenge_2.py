"""Random crops against the scorer's own loop."""

import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.hbn_challenge_2 import HbnChallenge2Task

TASK = "contrastChangeDetection"


def cut(table, found, **fields):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"x": HbnChallenge2Task(**fields)}))
    return windows, counts["x"]


def scorer_starts(n_samples: int, rate_hz: int = 100) -> list[int]:
    """First sample of every crop of one file: the grid of four seconds, then one draw per window."""
    rng, out = random.Random(42), []
    for i_start in range(0, n_samples - 4 * rate_hz + 1, 2 * rate_hz):
        i_stop = i_start + 4 * rate_hz
        out.append(i_start + rng.randint(0, i_stop - i_start - 2 * rate_hz))
    return out


@pytest.mark.parametrize("rate_hz", [100, 500])
def test_crops_are_those_of_the_scorer(recordings, events, rate_hz: int):
    lengths = [399 * rate_hz // 100, 4 * rate_hz, 33 * rate_hz + 7, 4000 * rate_hz]  # the last draws every place
    table = recordings(
        [[(0, n)] for n in lengths], rate_hz=float(rate_hz), bids_task=[TASK] * 4, externalizing=[0.5] * 4
    )
    windows, counts = cut(table, events([]))
    found = windows.groupby("recording_id")["start"].apply(list)
    assert found.to_dict() == {f"c:r{k:03d}": scorer_starts(n, rate_hz) for k, n in enumerate(lengths) if k}
    assert set(windows["n_samples"]) == {2 * rate_hz}
    assert counts["n_recordings_without_window"] == 1


def test_release_5(release_5):
    recordings, events = release_5
    windows, counts = cut(recordings, events)
    chosen = recordings[(recordings["bids_task"] == TASK) & recordings["externalizing"].notna()]
    n_without = int(((recordings["bids_task"] == TASK) & recordings["externalizing"].isna()).sum())
    assert (counts["n_recordings_without_label"], counts["n_recordings"]) == (n_without, 745 - n_without)
    assert n_without > 0
    expected = {r: scorer_starts(s[0]) for r, s in zip(chosen["recording_id"], chosen["segment_stops"], strict=True)}
    assert windows.groupby("recording_id")["start"].apply(list).to_dict() == expected
    scores = windows.groupby("person")["target"].agg(["min", "max"])
    assert (scores["min"] == scores["max"]).all()
    few = chosen.head(50)
    pd.testing.assert_frame_equal(cut(few.sample(frac=1, random_state=3), events)[0], cut(few, events)[0])


def test_crops_stay_inside_segments_and_go_on_with_the_draws(recordings, events):
    table = recordings([[(0, 900), (900, 1750)]], bids_task=[TASK], externalizing=[1.0])
    windows, _ = cut(table, events([]))
    offsets = np.array(scorer_starts(1400)) - 200 * np.arange(6)
    assert windows["start"].tolist() == (np.array([0, 200, 400, 900, 1100, 1300]) + offsets).tolist()
    assert windows["segment"].tolist() == [0, 0, 0, 1, 1, 1]


@given(
    edges=st.lists(st.sets(st.integers(0, 300), max_size=6), min_size=1, max_size=3),
    window=st.integers(1, 12),
    stride=st.integers(1, 9),
    shorter=st.integers(0, 11),
)
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_window_of_the_grid_has_one_crop_inside_it(recordings, events, edges, window, stride, shorter):
    segments = [[*zip(sorted(e)[::2], sorted(e)[1::2], strict=False)] for e in edges]
    crop = max(window - shorter, 1)
    table = recordings(segments, rate_hz=1.0, bids_task=[TASK] * len(segments), externalizing=[0.0] * len(segments))
    task = HbnChallenge2Task(window_s=window, stride_s=stride, crop_s=crop)
    runs = task.find(table, events([]), SampleGrid(1.0, "x"))
    grid = [
        (r, number, start)
        for r, spans in enumerate(segments)
        for number, (a, b) in enumerate(spans)
        for start in range(a, b - window + 1, stride)
    ]
    assert list(zip(runs.recording, runs.segment, strict=True)) == [row[:2] for row in grid]
    offsets = runs.start - np.array([row[2] for row in grid], dtype=np.int64)
    assert ((offsets >= 0) & (offsets <= window - crop)).all()


def test_any_task_and_any_factor(recordings, events):
    table = recordings([[(0, 900)]] * 2, p_factor=[0.25, np.nan])
    windows, counts = cut(table, events([]), bids_tasks=(), factor="p_factor", seed=1)
    assert set(windows["target"]) == {0.25}
    assert "n_recordings_of_other_tasks" not in counts
    with pytest.raises(ValidationError, match="crop_s 5 is longer than window_s 4"):
        HbnChallenge2Task(crop_s=5)
