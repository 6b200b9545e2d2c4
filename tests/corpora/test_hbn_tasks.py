"""Events of HBN's tasks: what belongs to a task, and what ran into its file from others."""

from typing import Any

import pytest

from eegfm.corpora.hbn_tasks import START_KIT_EXCLUSIONS, TASKS, own_events

CCD = "contrastChangeDetection"


def events(*values: str) -> list[dict[str, Any]]:
    """One event per second; ``value/code`` gives one a code."""
    rows = []
    for k, text in enumerate(values):
        value, _, code = text.partition("/")
        rows.append({"onset_s": float(k), "duration_s": None, "value": value, "event_code": code or None})
    return rows


def test_the_ten_tasks() -> None:
    assert len(TASKS) == 10
    assert len(START_KIT_EXCLUSIONS) == 9
    assert all(START_KIT_EXCLUSIONS.values())


def test_from_start_to_stop() -> None:
    found = own_events(
        events("dot_no1_ON", "seqLearning_start", "learningBlock_1", "dot_no2_OFF", "seqLearning_stop", "dot_no3_ON"),
        "seqLearning8target",
        "",
    )
    assert [e["onset_s"] for e in found.events] == [1, 2, 3, 4]
    assert (found.start_s, found.stop_s) == (1.0, 4.0)
    assert found.flags == ("other_task_events:2",)


def test_up_to_the_next_task() -> None:
    found = own_events(
        events("right_target", "contrastChangeB2_start", "contrastTrial_start", "left_target", "left_buttonPress",
               "video_start/82", "right_buttonPress"), CCD, "2",
    )  # fmt: skip
    assert [e["onset_s"] for e in found.events] == [1, 2, 3, 4]
    assert (found.start_s, found.stop_s) == (1.0, 5.0)
    assert found.flags == ("other_task_events:3",)


def test_another_run_is_another_task() -> None:
    found = own_events(
        events("contrastChangeB1_start", "left_target", "contrastChangeB2_start", "left_target"), CCD, "1"
    )
    assert [e["onset_s"] for e in found.events] == [0, 1]
    assert found.stop_s == 2.0
    other = own_events(
        events("contrastChangeB1_start", "left_target", "contrastChangeB2_start", "left_target"), CCD, "2"
    )
    assert [e["onset_s"] for e in other.events] == [2, 3]
    assert other.start_s == 2.0


def test_a_task_without_stop_lasts_to_the_end() -> None:
    found = own_events(events("resting_start", "instructed_toOpenEyes", "instructed_toCloseEyes"), "RestingState", "")
    assert len(found.events) == 3
    assert (found.start_s, found.stop_s, found.flags) == (0.0, None, ())


def test_a_start_that_is_repeated_starts_once() -> None:
    found = own_events(events("resting_start", "resting_start", "instructed_toOpenEyes"), "RestingState", "")
    assert (len(found.events), found.start_s, found.stop_s) == (3, 0.0, None)


def test_movies_are_told_by_their_codes() -> None:
    rows = events("video_start/83", "video_stop/103", "video_start/84", "video_stop/104", "video_start/81")
    present = own_events(rows, "ThePresent", "")
    assert [e["onset_s"] for e in present.events] == [2, 3]
    assert (present.start_s, present.stop_s) == (2.0, 3.0)
    assert present.flags == ("other_task_events:3",)
    fractals = own_events(rows, "FunwithFractals", "")
    assert fractals.events == []
    assert fractals[1:] == (None, None, ("other_task_events:5", "no_task_start"), ())


def test_movies_without_codes_are_told_by_name() -> None:
    found = own_events(events("video_start", "video_stop"), "ThePresent", "")
    assert (found.start_s, found.stop_s, found.flags) == (0.0, 1.0, ())


def test_a_movie_that_runs_into_the_next_stops_there() -> None:
    found = own_events(events("video_start/84", "video_start/81", "video_stop/101"), "ThePresent", "")
    assert (len(found.events), found.stop_s) == (1, 1.0)


def test_noise_is_named_by_value() -> None:
    found = own_events(
        events("break cnt", "symbolSearch_start", "9999", "newPage", "boundary", "IBEG", ""), "symbolSearch", ""
    )
    assert [e["value"] for e in found.events] == ["symbolSearch_start", "newPage"]
    assert (found.flags, found.noise) == ((), ("", "9999", "IBEG", "boundary", "break cnt"))


def test_values_of_no_task_are_counted_apart() -> None:
    found = own_events(
        events("./sub-X_events.tsv", "surroundSuppB1_start", "stim_ON", "resting_start"), "surroundSupp", "1"
    )
    assert [e["value"] for e in found.events] == ["surroundSuppB1_start", "stim_ON"]
    assert found.flags == ("other_task_events:1", "unknown_events:1")


def test_without_its_start_a_task_is_kept_by_name() -> None:
    rows = events("symbolSearch_start", "left_target", "left_buttonPress", "resting_start", "left_target")
    found = own_events(rows, CCD, "1")
    assert [e["onset_s"] for e in found.events] == [1, 2]
    assert (found.start_s, found.stop_s) == (None, 3.0)
    assert found.flags == ("other_task_events:3", "no_task_start")


def test_no_events_at_all() -> None:
    assert own_events([], "RestingState", "") == ([], None, None, ("no_task_start",), ())


def test_events_are_put_in_order_of_time() -> None:
    rows = list(reversed(events("resting_start", "instructed_toOpenEyes", "instructed_toCloseEyes")))
    assert [e["onset_s"] for e in own_events(rows, "RestingState", "").events] == [0, 1, 2]


def test_a_task_that_is_not_known_keeps_all_but_noise() -> None:
    found = own_events(events("boundary", "resting_start", "ping"), "Pilot", "")
    assert [e["value"] for e in found.events] == ["resting_start", "ping"]
    assert (found.flags, found.noise) == (("unknown_task",), ("boundary",))


@pytest.mark.parametrize(
    ("value", "owners"),
    [
        ("left_target", {"contrastChangeDetection"}),
        ("stim_ON", {"surroundSupp"}),
        ("newPage", {"symbolSearch"}),
        ("instructed_toOpenEyes", {"RestingState"}),
        ("video_start/84", {"ThePresent"}),
        ("dot_no1_ON", {"seqLearning6target", "seqLearning8target"}),
        ("dot_no11_ON", set()),
    ],
)
def test_whose_event_it_is(value: str, owners: set[str]) -> None:
    [event] = events(value)
    assert {name for name, task in TASKS.items() if task.owns(event)} == owners
