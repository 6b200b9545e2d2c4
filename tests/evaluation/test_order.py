import pandas as pd
import pytest

from eegfm.evaluation.answers import ClassAnswers
from eegfm.evaluation.order import label_order


def table(sequences, names=("open", "closed")):
    """Windows of persons, by person the classes in the order of recording: a run per ten windows."""
    rows = [
        (f"p{person}_r{k // 10:02d}", 200 * (k % 10), person, label)
        for person, labels in enumerate(sequences)
        for k, label in enumerate(labels)
    ]
    windows = pd.DataFrame(rows, columns=["recording_id", "start", "person", "label"]).sample(frac=1, random_state=0)
    return windows, windows["person"].to_numpy(), ClassAnswers(windows["label"].to_numpy(), names)


def test_one_class_before_the_other_in_every_person():
    found = label_order(*table([[1] * 12 + [0] * 9, [1, 0], [0] * 5]))
    assert found == {
        "label_follows_order": True,
        "label_order": {"first": "closed", "then": "open", "share": 1.0, "share_either_way": 1.0, "n_persons": 2},
    }


@pytest.mark.parametrize(("last", "either"), [([0, 0, 1, 1], 1.0), ([1, 0, 1], 0.75)])
def test_another_order_or_none_in_one_person_says_the_shares(last, either):
    found = label_order(*table([[1, 1, 0], [1, 0, 0], [1, 0], last]))
    assert found["label_follows_order"] == (either == 1.0)
    assert found["label_order"] == {
        "first": "closed", "then": "open", "share": 0.75, "share_either_way": either, "n_persons": 4,
    }  # fmt: skip


def test_two_of_three_classes_are_enough():
    found = label_order(*table([[2, 0, 1, 0], [2, 1, 0, 1]], names=("a", "b", "c")))
    assert found["label_follows_order"]
    assert found["label_order"]["first"] == "c"


def test_persons_of_one_class_each_have_no_order():
    assert label_order(*table([[0, 0], [1, 1]])) == {"label_follows_order": False, "label_order": None}


def test_windows_that_alternate_have_no_order():
    assert label_order(*table([[0, 1] * 8] * 3))["label_order"]["share"] == 0.0
