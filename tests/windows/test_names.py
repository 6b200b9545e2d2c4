"""Values, BIDS tasks and classes that the whole corpus has nowhere, and options that nothing reads."""

from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from eegfm.errors import ConfigError, SplitError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.tasks.tuar import TuarTask
from eegfm.windows.tasks.tuev import TuevTask
from eegfm.windows.tasks.tusl import TuslTask
from eegfm.windows.tasks.tusz import TuszTask
from tuh_tables import events_table, recordings_table

ANCHOR = {"values": ["right"], "span_s": 2}
HANDS = {"left": {"values": ["left"], "span_s": 2}, "right": ANCHOR}
EVENTS = [(5.0 * k + 2, value) for k, value in enumerate(["left", "right", "Rest", "press"] * 3)]


def cut(table: pd.DataFrame, events: pd.DataFrame, **fields: Any) -> tuple[pd.DataFrame, Any]:
    return cut_windows(table, events, WindowParams.model_validate({"cuts": {"mi": fields}}))


@pytest.fixture
def corpus(recordings, events):
    """Two recordings; only the second has any ``press``, so that values are looked for in the whole corpus."""
    rows = [("c:r000", t, v) for t, v in EVENTS if v != "press"] + [("c:r001", t, v) for t, v in EVENTS]
    told = events(rows).assign(feedback=pd.Series(["smiley_face", "sad_face"] * 10 + ["n/a"]).iloc[: len(rows)])
    return recordings([[(0, 7000)]] * 2, bids_task=["mi", "rest"], run=["R01", "R02"], sex=["F", "M"]), told


NOTHING = [
    (
        {"name": "events", "anchors": {**HANDS, "rest": {"values": ["rest"], "span_s": 2}}, "length_s": 2},
        r"anchors\.rest\.values: 'rest' matches none of 21 events \(column 'value'\); there are: 'Rest' 6, 'left' 6, "
        r"'right' 6, 'press' 3; did you mean 'Rest'\?",
    ),
    ({"name": "events", "anchors": HANDS, "length_s": 2, "bids_task": "MI"}, r"bids_task: 'MI' .*did you mean 'mi'"),
    (
        {"name": "events", "anchors": {"press": {"values": ["press"], "span_s": 2}}, "length_s": 2, "bids_task": "mi"},
        r"anchors\.press\.values: 'press' matches none of 9 events",
    ),
    ({"name": "event_locked", "values": ["left", "rest"], "length_s": 2}, r"values: 'rest' .*did you mean 'Rest'"),
    ({"name": "between_events", "start": ["left", "lleft"], "length_s": 2}, r"start: 'lleft' .*did you mean 'left'"),
    ({"name": "between_events", "start": ["left"], "stop": ["stop"], "length_s": 2}, r"stop: 'stop' matches none"),
    ({"name": "trials", "stimulus": ["left", "Left"], "length_s": 2}, r"stimulus: 'Left' .*did you mean 'left'"),
    ({"name": "trials", "start": ["begin"], "stimulus": ["left"], "length_s": 2}, r"start: 'begin' matches none"),
    ({"name": "trials", "stimulus": ["left"], "response": ["Press"], "length_s": 2}, r"response: 'Press'.*'press'\?"),
    (
        {
            "name": "trials", "stimulus": ["left"], "response": ["press"], "target": "correct", "length_s": 2,
            "correct_feedback": ["smiley"],
        },
        r"correct_feedback: 'smiley' .*column 'feedback'.*did you mean 'smiley_face'",
    ),
    (
        {
            "name": "recording_label", "column": "run", "classes": {"a": ["R01"], "b": ["R2"]}, "length_s": 2,
            "stride_s": 2,
        },
        r"classes\.b: 'R2' matches none of 2 recordings \(column 'run'\); there are: 'R01' 1, 'R02' 1",
    ),
    (
        {
            "name": "recording_label", "column": "run", "classes": {"a": ["R01"], "b": ["R02"]}, "length_s": 2,
            "stride_s": 2, "bids_task": "mi",
        },
        r"classes\.b: 'R02' matches none of 1 recordings",
    ),
    ({"name": "age", "bids_tasks": ["mi", "Rest"]}, r"bids_tasks: 'Rest' .*did you mean 'rest'"),
    ({"name": "sex", "bids_tasks": ["RestingState"]}, r"bids_tasks: 'RestingState' matches none of 2 recordings"),
    ({"name": "hbn_factor", "bids_tasks": ["RestingState"]}, r"bids_tasks: 'RestingState' matches none"),
    ({"name": "hbn_challenge_2"}, r"bids_tasks: 'contrastChangeDetection' matches none"),
    ({"name": "hbn_movies", "movies": ["ThePresent"]}, r"movies: 'ThePresent' matches none"),
    ({"name": "hbn_sequence_learning"}, r"bids_tasks: 'seqLearning6target', 'seqLearning8target' matches none"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), NOTHING)
def test_names_that_the_whole_corpus_has_nowhere_are_refused(corpus, fields, message):
    with pytest.raises(ConfigError, match=f"cut 'mi': {message}"):
        cut(*corpus, **fields)


def test_the_anchors_of_hbn_eyes_are_looked_for(recordings, events):
    table = recordings([[(0, 9000)]], bids_task=["RestingState"])
    told = events([("c:r000", 1.0, "instructed_toCloseEyes"), ("c:r000", 40.0, "instructed_toOpenEyes")])
    assert len(cut(table, told, name="hbn_eyes")[0]) == 14
    with pytest.raises(ConfigError, match=r"open\.values: 'open' matches none of 2 events"):
        cut(table, told, name="hbn_eyes", open={"values": ["open"], "span_s": 14})


def test_a_value_of_one_recording_is_enough(corpus):
    windows, _ = cut(*corpus, name="events", anchors={**HANDS, "press": {"values": ["press"], "span_s": 2}}, length_s=2)
    assert windows.groupby("label").size().to_dict() == {"left": 6, "right": 6, "press": 3}


def test_a_class_whose_events_give_no_window_is_refused(recordings, events):
    rows = [("c:r000", 2.0, "left"), ("c:r000", 6.0, "right"), ("c:r000", 29.0, "Rest")]
    anchors = {**HANDS, "rest": {"values": ["Rest"], "span_s": 2}}
    message = (
        r"cut 'mi': no window of class 'rest' in 1 recordings \(windows per class: left 1, right 1, rest 0; .*"
        r"n_windows_out_of_range 1.*\); events \(column 'value'\) are: 'Rest' 1, 'left' 1, 'right' 1; .*anchors"
    )
    with pytest.raises(SplitError, match=message):
        cut(recordings([[(0, 3000)]]), events(rows), name="events", anchors=anchors, length_s=2)


def test_a_class_of_a_fixed_task_that_is_absent_is_refused(corpus):
    table, events = corpus
    with pytest.raises(SplitError, match=r"no window of class 'M' .*recordings \(column 'sex'\) are: 'F' 1, 'm' 1"):
        cut(table.assign(sex=["F", "m"]), events, name="sex")
    with pytest.raises(SplitError, match=r"no window of class 'abnormal' .*column 'pathology'\) are: 'normal' 2"):
        cut(table.assign(pathology="normal"), events, name="tuab", length_s=2)


ROWS = [(0, 1.0, 2.0, "spsw", "FP1-F7"), (0, 5.0, 6.0, "gped", "FP1-F7"), (0, 9.0, 10.0, "eyem", "FP1-F7")]
TUEV = recordings_table([[(0, 300)]], family="tuev"), events_table(ROWS, source="rec")


def test_no_window_at_all_says_which_values_there_are(corpus):
    table, events = corpus
    with pytest.raises(SplitError, match=r"gives no window of 2 recordings .*column 'sex'\) are: 'female' 2$"):
        cut(table.assign(sex="female"), events, name="sex")


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"name": "event_locked", "values": ["press"], "length_s": 99}, "events (column 'value') are: 'Rest' 6,"),
        ({"name": "trials", "stimulus": ["left"], "length_s": 99}, "events (column 'value') are: 'Rest' 6,"),
        ({"name": "hbn_challenge_1"}, "recordings (column 'bids_task') are: 'mi' 1, 'rest' 1"),
    ],
)
def test_an_empty_cut_by_events_says_which_events_there_are(corpus, fields, values):
    with pytest.raises(SplitError) as error:
        cut(*corpus, **fields)
    assert "gives no window of 2 recordings" in str(error.value)
    assert values in str(error.value)


def test_triggers_that_are_no_events_are_named(corpus):
    table, events = corpus
    table = table.assign(flags=[["triggers_beside_events:3"], ["triggers_not_read:Trigger", "flat:Cz"]])
    with pytest.raises(ConfigError) as error:
        cut(table, events, name="event_locked", values=["1"], length_s=2)
    assert "1 recordings have a trigger channel that holds no codes and was not read" in str(error.value)
    assert "1 recordings have trigger codes that are not among the events" in str(error.value)


def test_a_part_of_tuev_is_told_which_classes_to_leave_out():
    absent = "'pled', 'artf', 'bckg'"
    with pytest.raises(SplitError, match=rf"no window of class {absent} .*'eyem' 1, 'gped' 1, 'spsw' 1; .* left_out"):
        cut(*TUEV, name="tuev", margin_s=0.5)
    windows, counts = cut(*TUEV, name="tuev", margin_s=0.5, left_out=["pled", "artf", "bckg", "eyem"])
    assert windows["label"].tolist() == ["spsw", "gped"]
    assert counts["mi"]["n_windows_of_classes_left_out"] == 1
    assert TuevTask(left_out=("pled", "artf", "bckg", "eyem")).target_spec == ("binary", ("spsw", "gped"), (), "")


def test_a_part_of_tusz_is_told_to_name_its_types():
    rows = [(0, 0.0, 20.0, "bckg", "TERM"), (0, 20.0, 30.0, "fnsz", "TERM")]
    table, events = recordings_table([[(0, 300)]], family="tusz"), events_table(rows)
    with pytest.raises(SplitError, match=r"no window of class 'gnsz', .* 'fnsz' 1; .* in types"):
        cut(table, events, name="tusz", level="event", length_s=5)
    windows, _ = cut(table, events, name="tusz", level="event", length_s=5, types={"focal": ["fnsz"]})
    assert windows["label"].value_counts().to_dict() == {"bckg": 4, "focal": 2}
    with pytest.raises(SplitError, match="no window of class 'seiz'"):
        cut(table, events.iloc[:1], name="tusz", length_s=5)


def test_outputs_that_never_differ_are_said(caplog):
    table, events = recordings_table([[(0, 300)]], family="tuar"), events_table([(0, 0.0, 5.0, "eyem", "FP1-F7")])
    cut(table, events, name="tuar", mode="ml")
    assert "Cut 'mi': no window of the whole corpus shows chew, shiv, musc, elec" in caplog.text
    caplog.clear()
    cut(table, events, name="tuar", mode="mmc")
    assert "shows chew, shiv, musc, elec" in caplog.text


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TuevTask(left_out=("spsv",)), "left_out: 'spsv' is no class; there are spsw, gped"),
        (lambda: TuevTask(left_out=("spsw", "spsw")), "class spsw is listed twice"),
        (lambda: TuslTask(left_out=("bckg", "slow")), "left_out leaves 1 of the classes"),
        (lambda: TuevTask(per="time", left_out=("spsw",)), "left_out is not used where the answer is multioutput"),
    ],
)
def test_classes_to_leave_out_must_be_those_of_the_task(build, message):
    with pytest.raises(ValidationError, match=message):
        build()


UNUSED = [
    ({"name": "tusz", "types": {"focal": ["fnsz"]}}, "types is not used at level window"),
    ({"name": "tusz", "background": False}, "background is not used at level window"),
    ({"name": "tusz", "level": "event", "min_overlap_ratio": 0.5}, "min_overlap_ratio is not used at level event"),
    ({"name": "event_locked", "values": ["a"], "length_s": 1, "stride_s": 1}, "stride_s is not used without span_s"),
    (
        {"name": "between_events", "start": ["a"], "length_s": 1, "without_stop": "to_segment_end"},
        "without_stop is not used where no stop events are named",
    ),
    (
        {"name": "trials", "stimulus": ["a"], "length_s": 1, "correct_feedback": ["yes"]},
        "correct_feedback is not used with target none",
    ),
    (
        {"name": "trials", "stimulus": ["a"], "length_s": 1, "feedback_column": "told"},
        "feedback_column is not used with target none",
    ),
    (
        {"name": "trials", "stimulus": ["a"], "response": ["b"], "length_s": 1, "target": "correct",
         "incorrect_feedback": []},
        "target correct needs values of correct_feedback and of incorrect_feedback",
    ),
    ({"name": "hbn_sequence_learning", "classes": "targets", "left_out": ["6_targets"]}, "left_out is not used"),
    ({"name": "hbn_surround_suppression", "left_out": ["background"]}, "left_out is not used"),
    ({"name": "event_locked", "values": ["a"], "length_s": 2, "span_s": 1}, "span_s 1 is shorter than a window"),
    (
        {"name": "events", "anchors": {"a": {"values": ["a"], "span_s": 1}}, "length_s": 2},
        r"anchors\.a\.span_s 1 is shorter than a window of length_s 2",
    ),
    ({"name": "hbn_eyes", "length_s": 20}, r"closed\.span_s 14 is shorter than a window of length_s 20"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), UNUSED)
def test_options_that_nothing_reads_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        WindowParams.model_validate({"cuts": {"x": fields}})


def test_options_that_are_read_are_no_error():
    assert TuszTask(level="event", types={"focal": ("fnsz",)}, background=False).target_spec.classes == ("focal",)
    assert TuszTask(min_overlap_ratio=0.5).level == "window"
    assert TuarTask(mode="ml").target_spec.kind == "multilabel"
