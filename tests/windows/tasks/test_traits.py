"""Traits of persons on the windows of their recordings: age, sex, factors."""

import numpy as np
import pytest

from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.traits import AgeTask, HbnFactorTask, SexTask
from found_windows import find_windows


def cut(table, found, task):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"trait": task}))
    return windows, counts["trait"]


def test_age_is_the_target_of_every_window(recordings, events):
    ages = [8.5, np.nan, 0.0, 71]
    table = recordings([[(0, 2500)], [(0, 2500)], [(0, 900), (900, 2000)], [(0, 300)]], age_years=ages)
    windows, counts = cut(table, events([]), AgeTask())
    assert windows[["recording_id", "segment", "n_windows", "target"]].to_numpy().tolist() == [
        ["c:r000", 0, 2, 8.5],
        ["c:r002", 1, 1, 0.0],
    ]
    assert windows["label"].isna().all()
    assert counts["n_recordings_without_label"] == 1
    assert counts["n_recordings_without_window"] == 1
    assert AgeTask().target_spec == ("regression", (), (), "years")


def test_a_corpus_without_the_column_is_told(recordings, events):
    for task, column in ((AgeTask(), "age_years"), (SexTask(), "sex"), (HbnFactorTask(), "p_factor")):
        with pytest.raises(ConfigError, match=f"cut 'trait': recordings have no column '{column}'"):
            cut(recordings([[(0, 2500)]]), events([]), task)
    without = recordings([[(0, 2500)]], age_years=[8.0]).drop(columns="bids_task")
    assert len(cut(without, events([]), AgeTask())[0]) == 1
    with pytest.raises(ConfigError, match="cut 'trait': recordings have no column 'bids_task'"):
        cut(without, events([]), AgeTask(bids_tasks=("a",)))


def test_sex_is_a_class(recordings, events):
    table = recordings([[(0, 500)]] * 4, sex=["F", "M", "", "X"], bids_task=["a", "b", "a", "a"])
    windows, counts = cut(table, events([]), SexTask())
    assert dict(zip(windows["recording_id"], windows["label"], strict=True)) == {"c:r000": "F", "c:r001": "M"}
    assert (counts["n_recordings_without_label"], windows["n_samples"].iloc[0]) == (2, 200)
    windows, counts = find_windows(SexTask(bids_tasks=("b",), length_s=4, stride_s=1), table, events([]))
    assert windows[["label", "n_windows"]].to_numpy().tolist() == [["M", 2]]
    assert counts["n_recordings_of_other_tasks"] == 3


def test_the_four_factors_of_release_5(release_5):
    recordings, events = release_5
    resting = recordings[recordings["bids_task"] == "RestingState"]
    for factor in ("p_factor", "attention", "internalizing", "externalizing"):
        task = HbnFactorTask(factor=factor, bids_tasks=("RestingState",))
        windows, counts = cut(recordings, events, task)
        expected = resting.set_index("recording_id")[factor].dropna()
        found = windows.drop_duplicates("recording_id").set_index("recording_id")["target"]
        assert found.to_dict() == expected.to_dict()
        assert counts["n_recordings_without_label"] == 1  # NDARBF851NH6
        assert (windows["n_samples"].iloc[0], windows["stride"].iloc[0]) == (400, 200)
    assert HbnFactorTask().target_spec == ("regression", (), (), "score")


def test_age_and_sex_of_release_5(release_5):
    recordings, events = release_5
    ages, _ = cut(recordings, events, AgeTask(bids_tasks=("RestingState",)))
    sexes, _ = cut(recordings, events, SexTask(bids_tasks=("RestingState",)))
    assert ages["person"].nunique() == sexes["person"].nunique() == 20
    known = recordings.set_index("recording_id")
    assert (ages["target"] == ages["recording_id"].map(known["age_years"])).all()
    assert (sexes["label"] == sexes["recording_id"].map(known["sex"])).all()
