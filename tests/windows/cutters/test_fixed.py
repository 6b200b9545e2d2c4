"""Windows on a fixed grid against a plain loop."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawn_examples import examples
from eegfm.errors import SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.cutters.fixed import FixedCut
from eegfm.windows.runs import expand

NO_EVENTS = pd.DataFrame({"recording_id": [], "onset_s": [], "value": []})


def cut(table, **fields):
    windows, counts = cut_windows(table, NO_EVENTS, WindowParams(cuts={"pretrain": FixedCut(**fields)}))
    return windows, counts["pretrain"]


def test_fixed_windows_fill_each_segment(recordings):
    windows, counts = cut(recordings([[(0, 1000), (1000, 1950)], [(50, 449)]]), length_s=4, stride_s=2)
    assert windows[["recording_id", "segment", "start", "n_windows"]].to_numpy().tolist() == [
        ["c:r000", 0, 0, 4],
        ["c:r000", 1, 1000, 3],
    ]
    assert expand(windows)["start"].tolist() == [0, 200, 400, 600, 1000, 1200, 1400]
    assert counts == {
        "n_recordings": 1,
        "n_windows": 7,
        "n_samples": 2800,
        "hours": pytest.approx(28 / 3600),
        "n_recordings_without_window": 1,
    }
    assert windows[["label", "target", "targets"]].isna().all(axis=None)
    assert FixedCut(length_s=4, stride_s=2).target_spec.kind == "unlabelled"


@st.composite
def segment_lists(draw):
    edges = sorted(draw(st.sets(st.integers(0, 200), min_size=0, max_size=6)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    segments=st.lists(segment_lists(), min_size=1, max_size=6),
    length=st.integers(1, 40),
    stride=st.integers(1, 40),
)
def test_windows_lie_inside_segments_and_order_of_rows_is_irrelevant(recordings, data, segments, length, stride):
    table = recordings(segments, rate_hz=1.0)
    expected = [
        (f"c:r{k:03d}", number, start)
        for k, spans in enumerate(segments)
        for number, (a, b) in enumerate(spans)
        for start in range(a, b - length + 1, stride)
    ]
    if not expected:
        with pytest.raises(SplitError):
            cut(table, length_s=length, stride_s=stride)
        return
    windows, _ = cut(table, length_s=length, stride_s=stride)
    columns = ["recording_id", "segment", "start"]
    assert list(expand(windows)[columns].itertuples(index=False, name=None)) == expected
    shuffled = table.sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    pd.testing.assert_frame_equal(windows, cut(shuffled, length_s=length, stride_s=stride)[0])
