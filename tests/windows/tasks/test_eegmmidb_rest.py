"""eegmmidb at rest."""

import pytest

from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.eegmmidb_rest import EegmmidbRestTask
from tuh_tables import events_table, recordings_table


@pytest.mark.parametrize("spelling", ["{}", "0{}", "R0{}"])
def test_run_1_is_with_eyes_open_and_run_2_with_eyes_closed(spelling: str) -> None:
    recordings = recordings_table([[(0, 50)]] * 3).assign(run=[spelling.format(n) for n in (2, 1, 3)])
    runs = EegmmidbRestTask().find(recordings, events_table([]), SampleGrid(10.0, "rest"))
    assert list(zip(runs.recording, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 2, "closed"),
        (1, 2, "open"),
    ]
    assert runs.counted["n_recordings_without_label"] == 1
    assert EegmmidbRestTask().target_spec == ("binary", ("open", "closed"), (), "")
