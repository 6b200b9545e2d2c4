"""TUEP: the diagnosis of the person on every window."""

from eegfm.windows.runs import SampleGrid
from eegfm.windows.tasks.tuep import TuepTask
from tuh_tables import events_table, recordings_table

CLOCK = SampleGrid(10.0, "epilepsy")


def test_windows_carry_the_diagnosis() -> None:
    recordings = recordings_table([[(0, 250)], [(0, 199)], [(0, 500)]], epilepsy=["epilepsy", "no_epilepsy", ""])
    runs = TuepTask().find(recordings, events_table([]), CLOCK)
    assert list(zip(runs.recording, runs.windows_per_run, runs.label, strict=True)) == [
        (0, 2, "epilepsy"),
        (1, 1, "no_epilepsy"),
    ]
    assert runs.counted == {
        "n_persons_of_both_classes": 0,
        "n_recordings_without_label": 1,
        "n_recordings_without_window": 0,
    }
    assert TuepTask().target_spec.classes == ("no_epilepsy", "epilepsy")


def test_a_person_with_two_diagnoses_is_counted() -> None:
    recordings = recordings_table([[(0, 250)]] * 3, epilepsy=["epilepsy", "no_epilepsy", ""], person="tuh:p0")
    assert TuepTask().find(recordings, events_table([]), CLOCK).counted["n_persons_of_both_classes"] == 1
