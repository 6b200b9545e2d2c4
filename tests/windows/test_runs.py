"""Runs, the table they become, and taking them apart, against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawn_examples import examples
from eegfm.errors import ConfigError
from eegfm.windows.runs import COLUMNS, NO_MOMENT, Runs, SampleGrid, expand

RUN = st.tuples(
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 500),
    st.integers(0, 5),
    st.integers(0, 9),
    st.sampled_from("ab"),
)


def runs_of(rows, **fields):
    recording, segment, start, n_windows, moment, label = (list(c) for c in zip(*rows, strict=True))
    return Runs(
        recording=np.array(recording, dtype=np.int64),
        segment=np.array(segment, dtype=np.int64),
        start=np.array(start, dtype=np.int64),
        n_samples=30,
        stride=20,
        n_windows=np.array(n_windows, dtype=np.int64),
        moment=np.array(moment, dtype=np.int64),
        label=np.array(label, dtype=object),
        **fields,
    )


@given(st.lists(RUN, min_size=1, max_size=12))
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_expanded_runs_are_those_of_a_plain_loop(recordings, rows):
    table = runs_of(rows).table(recordings([[(0, 900)]] * 3), "t")
    expected = [
        (f"c:r{r:03d}", segment, start + 20 * k, moment + k, label)
        for r, segment, start, n_windows, moment, label in sorted(rows, key=lambda row: (row[0], row[2]))
        for k in range(n_windows)
    ]
    windows = expand(table)
    columns = ["recording_id", "segment", "start", "moment", "label"]
    assert list(windows[columns].itertuples(index=False, name=None)) == expected
    assert (windows["n_windows"] == 1).all()
    for found in (table, windows):
        assert found.dtypes.astype(str).to_dict() == COLUMNS
    assert len(table) == sum(row[3] > 0 for row in rows)
    pd.testing.assert_frame_equal(expand(windows), windows)


def test_windows_without_a_moment_have_none_after_expansion(recordings):
    zero = np.zeros(1, dtype=np.int64)
    runs = Runs(zero, zero, zero, 10, 10, n_windows=np.array([3]))
    table = runs.table(recordings([[(0, 900)]]), "t")
    assert expand(table)["moment"].tolist() == [NO_MOMENT] * 3
    assert table[["label", "target", "targets"]].isna().all(axis=None)
    assert (table["person"].iloc[0], table["cut"].iloc[0]) == ("c:p0", "t")


def test_targets_stay_with_their_windows(recordings):
    one = np.array([1, 0], dtype=np.int64)
    targets = np.array([[1, 0], [0, 1]], dtype=np.float32)
    runs = Runs(one, np.zeros_like(one), one, 10, 10, target=np.array([0.5, 1.5]), targets=targets)
    table = runs.table(recordings([[(0, 900)]] * 2), "t")
    assert table["target"].tolist() == [1.5, 0.5]
    assert [list(t) for t in table["targets"]] == [[0, 1], [1, 0]]


def test_counts_have_names_of_their_own():
    found = runs_of([(0, 0, 0, 2, 0, "a"), (1, 0, 0, 3, 0, "a"), (1, 1, 90, 0, 0, "a")], counted={"n_events": 4})
    assert found.counts(10.0) == {
        "n_recordings": 2,
        "n_windows": 5,
        "n_samples": 150,
        "hours": pytest.approx(150 / 36000),
        "n_events": 4,
    }


def test_columns_of_runs_are_of_one_length():
    zero = np.zeros(1, dtype=np.int64)
    with pytest.raises(AssertionError, match="one length"):
        Runs(zero, zero, zero, 10, 10, n_windows=np.array([1, 1]))


def test_durations_are_whole_samples():
    sample_grid = SampleGrid(100.0, "eyes")
    assert sample_grid.samples("length_s", 0.29) == 29
    with pytest.raises(ConfigError, match=r"cut 'eyes': span_s 2\.005 is 200\.5 samples at 100 Hz; choose .* 0\.01 s"):
        sample_grid.samples("span_s", 2.005)
