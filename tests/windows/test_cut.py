from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import CueAnchor, CueCut, FixedCut, RecordingLabelCut, WindowParams
from eegfm.windows.cut import COLUMNS, cut_windows

NO_EVENTS = pd.DataFrame({"recording_id": [], "onset_s": [], "value": []})


def _params(cut, name="pretrain"):
    return WindowParams(cuts={name: cut})


def test_fixed_windows_fill_each_segment(recordings):
    table = recordings([[(0, 1000), (1000, 1950)], [(50, 449)]])
    windows, counts = cut_windows(table, NO_EVENTS, _params(FixedCut(length_s=4, stride_s=2)))
    first = windows[windows["recording_id"] == "c:r000"]
    assert first["start"].tolist() == [0, 200, 400, 600, 1000, 1200, 1400]
    assert first["segment"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert counts["pretrain"] == {
        "n_recordings": 1,
        "n_windows": 7,
        "n_samples": 2800,
        "hours": pytest.approx(28 / 3600),
        "n_recordings_without_window": 1,
    }
    assert {name: str(dtype) for name, dtype in windows.dtypes.items()} == COLUMNS
    assert windows["label"].isna().all()
    assert windows["target"].isna().all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), length=st.integers(1, 40), stride=st.integers(1, 40))
def test_windows_lie_inside_segments_and_order_of_rows_is_irrelevant(recordings, data, length, stride):
    segments = data.draw(st.lists(_segment_lists(), min_size=1, max_size=6))
    table = recordings(segments, rate_hz=1.0)
    expected = [
        (f"c:r{k:03d}", number, start)
        for k, spans in enumerate(segments)
        for number, (a, b) in enumerate(spans)
        for start in range(a, b - length + 1, stride)
    ]
    params = _params(FixedCut(length_s=length, stride_s=stride))
    if not expected:
        with pytest.raises(SplitError):
            cut_windows(table, NO_EVENTS, params)
        return
    windows, _ = cut_windows(table, NO_EVENTS, params)
    found = list(zip(windows["recording_id"], windows["segment"], windows["start"], strict=True))
    assert found == expected
    shuffled = table.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    pd.testing.assert_frame_equal(windows, cut_windows(shuffled, NO_EVENTS, params)[0])


@st.composite
def _segment_lists(draw):
    edges = sorted(draw(st.sets(st.integers(0, 200), min_size=0, max_size=6)))
    return list(zip(edges[::2], edges[1::2], strict=False))


def test_recording_label(recordings):
    table = recordings([[(0, 500)]] * 4, run=["R01", "R02", "R03", "R02"])
    table.at[3, "segment_stops"] = [100]
    cut = RecordingLabelCut(column="run", classes={"open": ["R01"], "closed": ["R02"]}, length_s=2, stride_s=2)
    windows, counts = cut_windows(table, NO_EVENTS, _params(cut, "eyes"))
    assert windows.groupby("recording_id")["label"].unique().map(list).to_dict() == {
        "c:r000": ["open"],
        "c:r001": ["closed"],
    }
    assert counts["eyes"]["n_recordings_without_label"] == 1
    assert counts["eyes"]["n_recordings_without_window"] == 1
    assert set(windows["task"]) == {"eyes"}


def test_recording_label_needs_its_column(recordings):
    cut = RecordingLabelCut(column="pathology", classes={"a": ["x"]}, length_s=2, stride_s=2)
    with pytest.raises(ConfigError, match=r"'eyes'.*'pathology'.*'run'"):
        cut_windows(recordings([[(0, 500)]]), NO_EVENTS, _params(cut, "eyes"))


def test_cue_windows_start_as_in_eegdash(recordings, events):
    cues = events([("c:r000", 20.0, "instructed_toOpenEyes"), ("c:r000", 40.004, "instructed_toCloseEyes")])
    windows, _ = cut_windows(recordings([[(0, 9000)]]), cues, _params(CueCut(), "eyes"))
    starts = windows.groupby("label")["start"].apply(list).to_dict()
    assert starts["open"] == [2000 + 100 * offset for offset in range(5, 18, 2)]
    assert starts["closed"] == [4000 + 100 * offset for offset in range(15, 28, 2)]


def test_cues_out_of_range_are_counted_and_dropped(recordings, events):
    cues = events(
        [
            ("c:r000", -30.0, "instructed_toOpenEyes"),
            ("c:r000", 20.0, "instructed_toOpenEyes"),
            ("c:r000", 60.0, "instructed_toCloseEyes"),
            ("c:r000", 500.0, "instructed_toOpenEyes"),
            ("c:r000", float("nan"), "instructed_toOpenEyes"),
            ("c:r000", 1e300, "instructed_toOpenEyes"),
            ("c:unknown", 20.0, "instructed_toOpenEyes"),
        ]
    )
    table = recordings([[(0, 2700), (2700, 8000)]])
    windows, counts = cut_windows(table, cues, _params(CueCut(), "eyes"))
    # Only the window from 25 s lies in the segment of its cue.
    assert windows.loc[windows["label"] == "open", "start"].tolist() == [2500]
    assert windows.loc[windows["label"] == "closed", "segment"].tolist() == [1, 1]
    assert windows.loc[windows["label"] == "closed", "start"].tolist() == [7500, 7700]
    assert counts["eyes"]["n_cues"] == 5
    assert counts["eyes"]["n_cues_without_window"] == 3
    assert counts["eyes"]["n_windows_out_of_range"] == 7 + 6 + 5 + 7 + 7


@pytest.mark.parametrize(("onset_s", "start"), [(20.004, 2500), (20.006, 2501)])
def test_cues_fall_on_the_nearest_sample(recordings, events, onset_s, start):
    cues = events([("c:r000", onset_s, "instructed_toOpenEyes")])
    windows, _ = cut_windows(recordings([[(0, 9000)]]), cues, _params(CueCut(), "eyes"))
    assert windows["start"].iloc[0] == start


def test_cue_windows_stay_in_the_segment_of_their_cue(recordings, events):
    """Behind a gap nobody knows what the person was told meanwhile."""
    cues = events([("c:r000", 20.0, "instructed_toOpenEyes")])
    windows, _ = cut_windows(recordings([[(0, 2950), (2950, 8000)]]), cues, _params(CueCut(), "eyes"))
    assert windows["start"].tolist() == [2500, 2700]
    assert windows["segment"].tolist() == [0, 0]


def test_a_stretch_ends_where_another_label_begins(recordings, events):
    cues = events(
        [
            ("c:r000", 10.0, "instructed_toOpenEyes"),
            ("c:r000", 19.5, "instructed_toCloseEyes"),
            ("c:r001", 16.0, "instructed_toCloseEyes"),
        ]
    )
    table = recordings([[(0, 9000)], [(0, 9000)]])
    windows, counts = cut_windows(table, cues, _params(CueCut(), "eyes"))
    mine = windows[windows["recording_id"] == "c:r000"]
    assert mine.loc[mine["label"] == "open", "start"].tolist() == [1500, 1700]
    assert counts["eyes"]["n_windows_after_next_cue"] == 5
    assert len(windows[windows["recording_id"] == "c:r001"]) == 7


def test_a_cue_written_twice_counts_once(recordings, events):
    cues = events([("c:r000", 20.0, "instructed_toOpenEyes")] * 2)
    windows, _ = cut_windows(recordings([[(0, 9000)]]), cues, _params(CueCut(), "eyes"))
    assert len(windows) == 7


def test_cues_of_other_tasks_are_not_cut(recordings, events):
    cues = events([("c:r000", 20.0, "instructed_toOpenEyes"), ("c:r001", 20.0, "instructed_toOpenEyes")])
    table = recordings([[(0, 9000)]] * 2, task=["ThePresent", "RestingState"])
    windows, _ = cut_windows(table, cues, _params(CueCut(), "eyes"))
    assert set(windows["recording_id"]) == {"c:r001"}


def test_real_resting_state_cues(shared_data: Path, recordings):
    files = sorted((shared_data / "hbn_meta" / "ds005509").glob("sub-*/eeg/*RestingState_events.tsv"))
    frames = [pd.read_csv(f, sep="\t").assign(recording_id=f"c:r{k:03d}") for k, f in enumerate(files)]
    cues = pd.concat(frames)
    stops = [int(frame["onset"].max() * 100) for frame in frames]
    windows, counts = cut_windows(
        recordings([[(0, stop)] for stop in stops]),
        cues.rename(columns={"onset": "onset_s"}),
        _params(CueCut(), "eyes"),
    )
    expected = 0
    for frame, stop in zip(frames, stops, strict=True):
        for value, offset in (("instructed_toCloseEyes", 15), ("instructed_toOpenEyes", 5)):
            onsets = np.floor(frame.loc[frame["value"] == value, "onset"].to_numpy() * 100 + 0.5)
            starts = onsets[:, None] + 100 * offset + 200 * np.arange(7)
            expected += int((starts + 200 <= stop).sum())
    assert len(windows) == expected > 1000
    assert counts["eyes"]["n_windows_after_next_cue"] == 0


def test_lengths_must_be_whole_samples(recordings):
    with pytest.raises(ConfigError, match=r"'pretrain': length_s 2\.005 is 200\.5 samples at 100 Hz"):
        cut_windows(recordings([[(0, 900)]]), NO_EVENTS, _params(FixedCut(length_s=2.005, stride_s=2)))
    anchors = {"open": CueAnchor(value="x", offset_s=0, span_s=1.001)}
    with pytest.raises(ConfigError, match="span_s"):
        cut_windows(recordings([[(0, 900)]]), NO_EVENTS, _params(CueCut(anchors=anchors)))


def test_no_window_is_an_error_with_counts(recordings):
    with pytest.raises(SplitError, match=r"'pretrain' gives no window of 2 recordings.*n_windows 0"):
        cut_windows(recordings([[(0, 300)], []]), NO_EVENTS, _params(FixedCut(length_s=4, stride_s=4)))


def test_no_recordings_is_an_error(recordings):
    with pytest.raises(SplitError, match="rejected"):
        cut_windows(recordings([]), NO_EVENTS, _params(FixedCut(length_s=4, stride_s=4)))


def test_mixed_rates_are_refused(recordings):
    table = recordings([[(0, 900)]] * 2, rate_hz=[100.0, 200.0])
    with pytest.raises(ConfigError, match=r"100\.0, 200\.0"):
        cut_windows(table, NO_EVENTS, _params(FixedCut(length_s=4, stride_s=4)))
