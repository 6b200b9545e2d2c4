"""Movies: equal moments of one movie in all recordings."""

import numpy as np
import pytest
from pydantic import ValidationError

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.runs import expand
from eegfm.windows.tasks.hbn_movies import MOVIES, HbnMoviesTask


def cut(table, found, **fields):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"movie": HbnMoviesTask(**fields)}))
    return windows, counts["movie"]


def test_moments_count_from_video_start(recordings, events):
    """20 s after the start are moment 10 whether the movie starts at 5 or at 12 s."""
    found = events([("c:r000", 5.0, "video_start"), ("c:r000", 45.0, "video_stop")])
    found = events(
        [
            *found.itertuples(index=False, name=None),
            ("c:r001", 12.0, "video_start"), ("c:r001", 52.0, "video_stop"),
            ("c:r002", 1.0, "video_start"), ("c:r002", 9.0, "video_stop"),
            ("c:r003", 1.0, "video_start"), ("c:r003", 9.0, "video_stop"),
        ]
    )  # fmt: skip
    table = recordings([[(0, 9000)]] * 4, bids_task=["ThePresent", "ThePresent", "RestingState", "DespicableMe"])
    windows = expand(cut(table, found, movies=("DespicableMe", "ThePresent"))[0])
    tenth = windows[windows["moment"] == 10]
    assert tenth[["recording_id", "start", "label"]].to_numpy().tolist() == [
        ["c:r000", 2500, "ThePresent"],
        ["c:r001", 3200, "ThePresent"],
    ]


def test_a_movie_that_is_absent_is_a_class_without_windows_or_a_name_that_matches_nothing(recordings, events):
    found = events([("c:r000", 5.0, "video_start"), ("c:r000", 45.0, "video_stop")])
    table = recordings([[(0, 9000)]], bids_task=["ThePresent"])
    with pytest.raises(SplitError, match=r"no window of class 'DespicableMe', .* leave it out of movies"):
        cut(table, found)
    with pytest.raises(ConfigError, match="movies: 'DespicableMe' matches none"):
        cut(table, found, movies=("DespicableMe", "ThePresent"))


def test_all_movies_of_twenty_persons(release_5):
    recordings, events = release_5
    runs, counts = cut(recordings, events)
    windows = expand(runs)
    assert counts["n_events"] == 80
    assert counts["n_events_without_stop"] == counts["n_windows_out_of_range"] == 0
    assert set(windows["label"]) == set(MOVIES)
    # Each lasts 171, 117, 163 and 203 s: every moment of every movie is there twenty times, once per person.
    lengths = windows.groupby("label")["moment"].max() + 1
    assert lengths.to_dict() == {"DespicableMe": 85, "DiaryOfAWimpyKid": 58, "FunwithFractals": 81, "ThePresent": 101}
    per_moment = windows.groupby(["label", "moment"])["person"].agg(["size", "nunique"])
    assert (per_moment == 20).all(axis=None)
    started = events[events["value"] == "video_start"].set_index("recording_id")["onset_s"]
    shown_s = windows["start"] / 100 - windows["recording_id"].map(started)
    np.testing.assert_allclose(shown_s, 2.0 * windows["moment"], atol=0.005)


def test_movies_can_be_chosen(release_5):
    recordings, events = release_5
    windows, counts = cut(recordings, events, movies=("ThePresent",), length_s=4, stride_s=1)
    assert set(windows["label"]) == {"ThePresent"}
    assert counts["n_recordings_of_other_tasks"] == len(recordings) - 20
    assert (windows["n_windows"] == 200).all()
    assert HbnMoviesTask(movies=("ThePresent",)).target_spec.kind == "unlabelled"
    assert HbnMoviesTask(movies=MOVIES[:2]).target_spec.kind == "binary"
    assert HbnMoviesTask().target_spec == ("multiclass", MOVIES, (), "")
    with pytest.raises(ValidationError, match="movie ThePresent is listed twice"):
        HbnMoviesTask(movies=("ThePresent", "ThePresent"))
    with pytest.raises(ValidationError, match="DiaryOfAWimpyKid"):
        HbnMoviesTask(movies=("Frozen",))
