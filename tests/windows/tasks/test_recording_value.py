"""Numbers of recordings as targets: what is missing, and what is no number."""

import numpy as np
import pytest

from eegfm.errors import SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.traits import AgeTask


def cut(table, found, task):
    windows, counts = cut_windows(table, found, WindowParams(cuts={"trait": task}))
    return windows, counts["trait"]


@pytest.mark.parametrize("value", [np.inf, -np.inf, "old"])
def test_what_is_no_finite_number_is_refused(recordings, events, value):
    table = recordings([[(0, 2500)]] * 2, age_years=[8.5, value])
    with pytest.raises(SplitError, match=rf"cut 'trait': age_years of c:r001 is {value}; it must be a finite number"):
        cut(table, events([]), AgeTask())


def test_missing_values_of_any_spelling(recordings, events):
    table = recordings([[(0, 2500)]] * 4, age_years=[None, "", np.nan, "12"])
    windows, counts = cut(table, events([]), AgeTask())
    assert windows["target"].unique().tolist() == [12]
    assert counts["n_recordings_without_label"] == 3
