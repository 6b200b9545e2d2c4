"""Messages about recordings without labels, by the flags of the recordings."""

import numpy as np
import pandas as pd
import pytest

from eegfm.windows.unlabelled import event_faults, label_faults, untaken_triggers


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([[], ["flat:Cz", "columns_disagree:sex"]], ""),
        (
            [["not_in_participants.tsv:0_of_3"], ["flat:Cz", "not_in_participants.tsv:0_of_3"]],
            "; 2 recordings have no row in participants.tsv (0 of 3 rows match a folder): give persons the same ids "
            "in the table and in the folders, then ingest again",
        ),
        (
            [["age_not_understood"], ["sex_not_understood"], ["age_not_understood"]],
            "; 2 recordings are flagged age_not_understood; 1 recordings are flagged sex_not_understood",
        ),
    ],
)
def test_flags_about_labels_are_counted_and_others_left_out(flags: list[list[str]], said: str) -> None:
    assert label_faults(pd.DataFrame({"flags": flags})) == said
    assert label_faults(pd.DataFrame({"flags": [np.array(some, dtype=object) for some in flags]})) == said


def test_the_first_text_that_is_not_understood_is_quoted() -> None:
    table = pd.DataFrame({"subject": ["01", "02"], "flags": [[], ["age_not_understood"]]})
    written = table.assign(age_as_written=["", "'18-38' in line 3 of participants.tsv"])
    said = "; 1 recordings are flagged age_not_understood"
    assert label_faults(written) == f"{said} (e.g. age of 02 is '18-38' in line 3 of participants.tsv)"
    assert label_faults(written.assign(age_as_written=[np.nan, np.nan])) == said


def test_faults_of_events_are_told_from_those_of_persons() -> None:
    flags = [["age_not_understood", "events_without_onset:2"], ["side_file_unreadable:events.tsv"]]
    table = pd.DataFrame({"flags": flags})
    events = (
        "; 1 recordings are flagged events_without_onset:2; 1 recordings are flagged side_file_unreadable:events.tsv"
    )
    assert event_faults(table) == events
    assert label_faults(table) == f"; 1 recordings are flagged age_not_understood{events}"


def test_recordings_without_flags_say_nothing() -> None:
    assert label_faults(pd.DataFrame({"recording_id": ["a"]})) == ""
    assert untaken_triggers(pd.DataFrame({"recording_id": ["a"]})) == ""


def test_recordings_with_triggers_are_counted_once() -> None:
    flags = [["triggers_not_read:Trigger", "triggers_not_read:Marker"], ["flat:Cz"], ["triggers_not_read:Trigger"]]
    said = "; 2 recordings have a trigger channel that holds no codes and was not read"
    assert untaken_triggers(pd.DataFrame({"flags": flags})) == said
