"""Windows around trials against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drawn_examples import examples
from eegfm.errors import ConfigError
from eegfm.windows.config import WindowParams
from eegfm.windows.cut import cut_windows
from eegfm.windows.cutters.trials import TrialsCut
from found_windows import find_windows

EVENTS = {"start": ("start",), "stimulus": ("left", "right"), "response": ("press",)}


def cut(table, events, **fields):
    chosen = TrialsCut(**{**EVENTS, "length_s": 2, **fields})
    windows, counts = cut_windows(table, events, WindowParams(cuts={"t": chosen}))
    return windows, counts["t"]


def trial(start_s, *rows):
    return [("c:r000", start_s, "start"), *(("c:r000", start_s + after_s, value) for after_s, value in rows)]


def test_reaction_times_and_every_reason_to_leave_a_trial_out(recordings, events):
    rows = [
        *trial(5.0, (1, "left"), (2.25, "press")),
        *trial(10.0, (1, "press")),
        *trial(15.0, (1, "right")),
        *trial(28.0, (1.25, "left"), (2.5, "press")),  # a segment ends at 30
        *trial(36.75, (1.0, "left"), (1.2, "press")),  # another at 38: the window begins behind it, the trial before
        *trial(50.0, (1, "left"), (2, "press")),
    ]
    table = recordings([[(0, 3000), (3000, 3800), (3800, 6000)]])
    windows, counts = cut(table, events(rows), offset_s=0.5, target="reaction_time_s")
    assert windows[["segment", "start", "n_samples", "target"]].to_numpy().tolist() == [[0, 650, 200, 1.25]]
    assert {name: n for name, n in counts.items() if name.startswith("n_trials")} == {
        "n_trials_closed": 5,
        "n_trials_open": 1,
        "n_trials_without_stimulus": 1,
        "n_trials_without_response": 1,
        "n_trials_without_feedback": 0,
        "n_trials_out_of_range": 1,
        "n_trials_across_gaps": 1,
    }
    kept, counts = cut(table, events(rows), offset_s=0.5, target="reaction_time_s", keeps_last_trial=True)
    assert kept["target"].tolist() == [1.25, 1.0]
    assert counts["n_trials_open"] == 1


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"anchor": "trial_start"}, [500, 1000, 1500]),
        ({"anchor": "stimulus"}, [600, 1600]),
        ({"anchor": "response", "offset_s": -1.5}, [575, 950]),  # the second answers no stimulus
        ({"anchor": "response", "target": "reaction_time_s"}, [725]),
    ],
)
def test_a_trial_needs_what_its_anchor_and_target_need(recordings, events, fields, starts):
    rows = [
        *trial(5.0, (1, "left"), (2.25, "press")),
        *trial(10.0, (1, "press")),
        *trial(15.0, (1, "right")),
        ("c:r000", 20.0, "start"),
    ]
    windows, _ = cut(recordings([[(0, 3000)]]), events(rows), **fields)
    assert windows["start"].tolist() == starts
    assert windows["label"].isna().all()


def test_correct_and_incorrect(recordings, events):
    rows = [row for k in range(4) for row in trial(5.0 + 5 * k, (1, "left"), (2, "press"))]
    feedback = [None, None, "smiley_face", None, None, "sad_face", None, None, "non_target", *[None] * 3]
    told = events(rows).assign(feedback=pd.Series(feedback, dtype="str"))
    windows, counts = cut(recordings([[(0, 3000)]]), told, stimulus=("left",), target="correct")
    assert windows["label"].tolist() == ["correct", "incorrect"]
    assert counts["n_trials_without_feedback"] == 1
    assert windows["target"].isna().all()
    assert TrialsCut(**EVENTS, length_s=2, target="correct").target_spec == ("binary", ("incorrect", "correct"), (), "")
    with pytest.raises(ConfigError, match="'t': events have no column 'feedback'; there are"):
        cut(recordings([[(0, 3000)]]), events(rows), stimulus=("left",), target="correct")


def test_without_trial_starts_each_stimulus_starts_a_trial(recordings, events):
    rows = [(1.0, "left"), (1.5, "press"), (5.0, "right"), (9.0, "left"), (9.25, "press")]
    found = events([("c:r000", *row) for row in rows])
    fields = {"start": (), "target": "reaction_time_s"}
    windows, counts = cut(recordings([[(0, 3000)]]), found, **fields)
    assert windows["target"].tolist() == [0.5]
    assert (counts["n_trials_closed"], counts["n_trials_without_response"]) == (2, 1)
    assert cut(recordings([[(0, 3000)]]), found, keeps_last_trial=True, **fields)[0]["target"].tolist() == [0.5, 0.25]


def test_configurations_that_cannot_work():
    with pytest.raises(ValidationError, match="event value left is listed twice"):
        TrialsCut(start=("left",), stimulus=("left",), length_s=2)
    for fields in ({"anchor": "response"}, {"target": "reaction_time_s"}, {"target": "correct"}):
        with pytest.raises(ValidationError, match="needs values of response"):
            TrialsCut(stimulus=("left",), length_s=2, **fields)
    assert TrialsCut(stimulus=("left",), length_s=2).target_spec.kind == "unlabelled"


def test_a_missing_column_is_told(recordings, events):
    with pytest.raises(ConfigError, match=r"'t': events have no column 'trial_type'; there are \['onset_s'"):
        cut(recordings([[(0, 3000)]]), events([]), column="trial_type")


def plain_windows(segments, rows, *, offset, length, keeps_last):
    """(recording, segment, start, reaction time) by a loop; one sample per second, whole seconds."""
    out = []
    for r, spans in enumerate(segments):
        mine = [(t, v) for who, t, v in rows if who == r]
        starts = sorted(t for t, v in mine if v == "start")
        for k, a in enumerate(starts):
            b = starts[k + 1] if k + 1 < len(starts) else None
            if b is None and not keeps_last:
                continue
            inside = sorted((t, v) for t, v in mine if a <= t and (b is None or t < b))
            shown = next((t for t, v in inside if v in ("left", "right")), None)
            pressed = next((t for t, v in inside if v == "press" and shown is not None and t >= shown), None)
            for number, (x, y) in enumerate(spans):
                if pressed is not None and x <= shown <= pressed < y and x <= shown + offset <= y - length:
                    out.append((f"c:r{r:03d}", number, shown + offset, pressed - shown))
    return sorted(out)


@st.composite
def segment_lists(draw):
    edges = sorted(draw(st.sets(st.integers(0, 60), max_size=6)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@given(
    data=st.data(),
    segments=st.lists(segment_lists(), min_size=1, max_size=3),
    offset=st.integers(-3, 3),
    length=st.integers(1, 5),
    keeps_last=st.booleans(),
)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_of_trials_are_those_of_a_plain_loop(recordings, events, data, segments, offset, length, keeps_last):
    row = st.tuples(
        st.integers(0, len(segments) - 1), st.integers(0, 60), st.sampled_from(["start", "left", "right", "press"])
    )
    rows = data.draw(st.lists(row, max_size=40))
    table = recordings(segments, rate_hz=1.0)
    found = events([(f"c:r{r:03d}", float(t), v) for r, t, v in rows])
    fields = {"offset_s": offset, "length_s": length, "target": "reaction_time_s", "keeps_last_trial": keeps_last}
    expected = plain_windows(segments, rows, offset=offset, length=length, keeps_last=keeps_last)
    chosen = TrialsCut(**EVENTS, **fields)
    windows, counts = find_windows(chosen, table, found)
    assert list(windows[["recording_id", "segment", "start", "target"]].itertuples(index=False, name=None)) == expected
    left_out = [
        n for name, n in counts.items() if name.startswith(("n_trials_without", "n_trials_out", "n_trials_acr"))
    ]
    n_trials = counts["n_trials_closed"] + (counts["n_trials_open"] if keeps_last else 0)
    assert n_trials == len(windows) + sum(left_out)
    seed = data.draw(st.integers(0, 99))
    shuffled = table.sample(frac=1, random_state=seed), found.sample(frac=1, random_state=seed)
    again, _ = find_windows(chosen, *shuffled)
    pd.testing.assert_frame_equal(again, windows)


def test_many_trials_at_once(recordings):
    n = 30_000
    onsets_s = (np.arange(n)[:, None] * 4.0 + [0, 1, 2]).ravel()
    found = pd.DataFrame(
        {"recording_id": "c:r000", "onset_s": onsets_s, "value": np.tile(["start", "left", "press"], n)}
    )
    windows, _ = cut(recordings([[(0, 400 * n)]]), found, stimulus=("left",), target="reaction_time_s")
    assert len(windows) == n - 1
