"""Several cuts of one corpus, and what cannot be cut."""

import pandas as pd
import pytest

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import counts_table, cut_windows
from eegfm.windows.runs import COLUMNS

FIXED = {"name": "fixed", "length_s": 4, "stride_s": 4}
GO = {"name": "event_locked", "values": ["go"], "length_s": 2}


def params(**cuts):
    return WindowParams.model_validate({"cuts": cuts})


def test_cuts_come_in_their_order_whatever_the_order_of_the_tables(recordings, events):
    table, found = recordings([[(0, 900)]] * 3), events([("c:r002", 1.0, "go"), ("c:r000", 4.0, "go")])
    windows, counts = cut_windows(table, found, params(second=GO, first=FIXED))
    assert list(zip(windows["cut"], windows["recording_id"], windows["start"], strict=True)) == [
        ("second", "c:r000", 400),
        ("second", "c:r002", 100),
        *(("first", f"c:r{k:03d}", 0) for k in range(3)),
    ]
    assert windows.dtypes.astype(str).to_dict() == COLUMNS
    assert list(counts) == ["second", "first"]
    again, _ = cut_windows(table[::-1], found[::-1], params(second=GO, first=FIXED))
    pd.testing.assert_frame_equal(again, windows)


def test_counts_become_rows(recordings, events):
    _, counts = cut_windows(recordings([[(0, 900)]]), events([]), params(pretrain=FIXED))
    table = counts_table(counts)
    assert table.set_index("what")["count"].to_dict() == counts["pretrain"]
    assert set(table["cut"]) == {"pretrain"}


def test_no_window_is_an_error_with_counts(recordings, events):
    with pytest.raises(SplitError, match=r"'pretrain' gives no window of 2 recordings.*n_windows 0"):
        cut_windows(recordings([[(0, 300)], []]), events([]), params(pretrain=FIXED))


def test_no_recordings_is_an_error(recordings, events):
    with pytest.raises(SplitError, match="rejected"):
        cut_windows(recordings([]), events([]), params(pretrain=FIXED))


def test_lengths_must_be_whole_samples(recordings, events):
    with pytest.raises(ConfigError, match=r"'pretrain': length_s 2\.005 is 200\.5 samples at 100 Hz"):
        cut_windows(recordings([[(0, 900)]]), events([]), params(pretrain={**FIXED, "length_s": 2.005}))


def test_mixed_rates_are_refused(recordings, events):
    table = recordings([[(0, 900)]] * 2, rate_hz=[100.0, 200.0])
    with pytest.raises(ConfigError, match=r"100\.0, 200\.0"):
        cut_windows(table, events([]), params(pretrain=FIXED))


def test_a_recording_that_stands_there_twice_is_refused(recordings, events):
    table = recordings([[(0, 900)], [(0, 900)]])
    with pytest.raises(ConfigError, match=r"1 recordings are listed twice in the table, e.g. c:r000"):
        cut_windows(pd.concat([table, table.head(1)]), events([]), params(pretrain=FIXED))


@pytest.mark.parametrize("key", ["length_s", "stride_s"])
def test_windows_and_strides_have_samples(recordings, events, key):
    with pytest.raises(ConfigError, match=rf"cut 'pretrain': {key} 1e-09 is less than a sample at 100 Hz"):
        cut_windows(recordings([[(0, 900)]]), events([]), params(pretrain=FIXED | {key: 1e-9}))
