"""TUSL: windows inside events of 10 s, and by majority, against a loop over samples."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.windows.runs import Runs, SampleGrid
from eegfm.windows.tasks.tusl import TuslTask
from tuh_tables import Row, events_table, marked, recordings_table

CLOCK = SampleGrid(10.0, "slowing")
SEGMENTS = [[(0, 230), (240, 620)], [(0, 149)]]
CLASSES = ["bckg", "seiz", "slow"]
rows = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 600), st.integers(0, 150), st.sampled_from([*CLASSES, "cbsz"]),
        st.sampled_from(["TERM", "FP1-F7"]),
    ).map(lambda row: (row[0], row[1] / 10, (row[1] + row[2]) / 10, *row[3:])),
    min_size=1,
    max_size=12,
)  # fmt: skip


def cut(found: list[Row], **fields: object) -> Runs:
    return TuslTask(**fields).find(recordings_table(SEGMENTS, "tusl"), events_table(found), CLOCK)


def test_each_event_of_ten_seconds_is_a_window() -> None:
    found = [(0, 1.2345, 11.2345, "slow", "TERM"), (0, 12.0, 22.0, "seiz", "TERM"), (0, 30.0, 40.0, "bckg", "TERM")]
    found += [(0, 15.0, 25.0, "bckg", "TERM"), (1, 6.0, 16.0, "bckg", "TERM"), (1, 0.0, 1.0, "cbsz", "TERM")]
    runs = cut([*found, *found])
    assert list(zip(runs.recording, runs.start, runs.label, strict=True)) == [(0, 300, "bckg"), (0, 12, "slow")]
    assert runs.counted == {
        "n_recordings_of_other_corpus": 0,
        "n_recordings_without_annotations": 0,
        "n_recordings_without_window": 1,
        "n_events_of_other_files": 0,
        "n_events_without_duration": 0,
        "n_events": 12,
        "n_events_of_other_labels": 2,
        "n_stretches": 5,
        "n_stretches_without_window": 3,
        "n_windows_of_several_classes": 1,
    }


@given(rows)
@settings(max_examples=examples(15), deadline=None)
def test_majority(found: list[Row]) -> None:
    runs = cut(found, rule="majority", length_s=5)
    expected = []
    for r in sorted({row[0] for row in found}):
        masks = [marked(found, r, [name], 1000) for name in CLASSES]
        unmarked = ~(masks[0] | masks[1] | masks[2])
        for first, last in SEGMENTS[r]:
            for a in range(first, last - 49, 50):
                shares = [int(mask[a : a + 50].sum()) for mask in masks]
                if max(shares) > unmarked[a : a + 50].sum():
                    expected.append((r, a, CLASSES[shares.index(max(shares))]))
    assert list(zip(runs.recording, runs.start, runs.label, strict=True)) == expected
    n_all = sum((b - a) // 50 for r in {row[0] for row in found} for a, b in SEGMENTS[r])
    assert runs.counted["n_windows_unmarked"] == n_all - len(expected)
    every = cut(found, rule="majority", unmarked="class", length_s=5)
    assert every.counted["n_windows_unmarked"] == n_all - len(expected)
    labelled = list(zip(every.recording, every.start, every.label, strict=True))
    assert [row for row in labelled if row[2] != "none"] == expected
    assert len(labelled) == n_all


def test_half_a_window_is_no_majority() -> None:
    runs = cut([(1, 0.0, 2.5, "slow", "TERM"), (1, 5.0, 7.6, "slow", "TERM")], rule="majority", length_s=5)
    assert list(zip(runs.start, runs.label, strict=True)) == [(50, "slow")]
    runs = cut([(1, 0.0, 2.5, "slow", "TERM"), (1, 2.5, 5.0, "seiz", "TERM")], rule="majority", length_s=5)
    assert list(zip(runs.start, runs.label, strict=True)) == [(0, "seiz")]  # of two that cover as much the first


def test_what_nobody_marked_is_a_class_only_by_majority() -> None:
    task = TuslTask(rule="majority", unmarked="class")
    assert task.target_spec == ("multiclass", (*CLASSES, "none"), (), "")
    with pytest.raises(ValidationError, match="unmarked is not used at rule inside"):
        TuslTask(unmarked="class")


def test_answer() -> None:
    assert TuslTask().target_spec == ("multiclass", tuple(CLASSES), (), "")
