"""Conditions of surround suppression, on real events."""

import pandas as pd
import pytest

from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.hbn_surround_suppression import HbnSurroundSuppressionTask


def cut(table, found, **fields):
    params = WindowParams(cuts={"stimulus": HbnSurroundSuppressionTask(**fields)})
    windows, counts = cut_windows(table, found, params)
    return windows, counts["stimulus"]


@pytest.mark.parametrize(
    ("condition", "n_per_class"),
    [
        ("background", {"no_background": 640, "background": 1920}),
        ("foreground_contrast", dict.fromkeys(["contrast_0", "contrast_30", "contrast_60", "contrast_100"], 640)),
        ("stimulus_cond", dict.fromkeys(["parallel_opposite_phase", "parallel_in_phase", "orthogonal"], 640)),
    ],
)
def test_conditions_of_twenty_persons(release_5, condition, n_per_class):
    recordings, events = release_5
    windows, counts = cut(recordings, events, condition=condition)
    assert windows["label"].value_counts().to_dict() == n_per_class
    assert HbnSurroundSuppressionTask(condition=condition).target_spec.classes == tuple(n_per_class)
    assert counts.get("n_events_without_background", 0) == (640 if condition == "stimulus_cond" else 0)
    assert counts["n_events_of_other_values"] == counts["n_windows_out_of_range"] == 0
    assert set(windows["n_samples"]) == {240}
    shown = events[(events["value"] == "stim_ON")].assign(
        start=lambda d: (d["onset_s"] * 100).round().astype(int), of=lambda d: d[condition].astype(float)
    )
    joined = windows.merge(shown, on=["recording_id", "start"], validate="one_to_one")
    assert len(joined) == len(windows)
    assert joined.groupby("label")["of"].nunique().eq(1).all()


def test_other_values_and_missing_columns(recordings, events):
    rows = [(1.0, "stim_ON"), (5.0, "stim_ON"), (3.0, "fixpoint_ON"), (6.5, "stim_ON")]
    found = events([("c:r000", *row) for row in rows])
    found["background"] = pd.Series(["1", "2", "1", "0"], dtype="str")
    table = recordings([[(0, 900)]], bids_task=["surroundSupp"])
    windows, counts = cut(table, found)
    assert windows[["start", "label"]].to_numpy().tolist() == [[100, "background"], [650, "no_background"]]
    assert counts["n_events_of_other_values"] == 1
    assert cut(table, found, offset_s=-0.5, length_s=1)[0]["start"].tolist() == [50, 600]
    with pytest.raises(ConfigError, match="'stimulus': events have no column 'stimulus_cond'"):
        cut(table, found, condition="stimulus_cond")
