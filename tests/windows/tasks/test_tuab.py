"""TUAB: the class of the recording on every window."""

import pytest

from eegfm.errors import ConfigError
from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.tuab import TuabTask
from tuh_tables import events_table, recordings_table

CLOCK = SampleGrid(10.0, "pathology")


def test_windows_of_ten_seconds_carry_the_class_of_their_recording() -> None:
    segments = [[(0, 250)], [(0, 199), (200, 400)], [(0, 500)], [(0, 90)]]
    recordings = recordings_table(segments, pathology=["abnormal", "normal", "", "normal"])
    runs = TuabTask().find(recordings, events_table([]), CLOCK)
    assert list(zip(runs.recording, runs.start, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 0, 2, "abnormal"),
        (1, 0, 1, "normal"),
        (1, 200, 2, "normal"),
    ]
    assert (runs.n_samples, runs.stride) == (100, 100)
    assert runs.counted == {"n_recordings_without_label": 1, "n_recordings_without_window": 1}
    assert TuabTask().target_spec == ("binary", ("normal", "abnormal"), (), "")
    assert TuabTask(stride_s=5).find(recordings, events_table([]), CLOCK).stride == 50


def test_a_corpus_without_the_column_is_told() -> None:
    with pytest.raises(ConfigError, match="'pathology': recordings have no column 'pathology'"):
        TuabTask().find(recordings_table([[(0, 500)]]), events_table([]), CLOCK)
