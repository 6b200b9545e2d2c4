"""Messages about recordings without labels, by the flags of the recordings."""

import numpy as np
import pandas as pd
import pytest

from eegfm.windows.unlabelled import label_faults, untaken_triggers


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


def test_recordings_without_flags_say_nothing() -> None:
    assert label_faults(pd.DataFrame({"recording_id": ["a"]})) == ""
    assert untaken_triggers(pd.DataFrame({"recording_id": ["a"]})) == ""


def test_recordings_with_triggers_are_counted_once() -> None:
    flags = [["triggers_not_read:Trigger", "triggers_not_read:Marker"], ["flat:Cz"], ["triggers_not_read:Trigger"]]
    said = "; 2 recordings have a trigger channel that holds no codes and was not read"
    assert untaken_triggers(pd.DataFrame({"flags": flags})) == said
