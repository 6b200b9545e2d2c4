"""Trial tables against a plain loop, and the reaction times of real recordings."""

import shutil
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bids_tree import convert_file
from drawn_examples import examples
from eegfm.corpora.config import BidsCorpus
from eegfm.jobs.ingest.convert import Converted
from eegfm.signal.config import SignalParams
from eegfm.windows.trials import COLUMNS, TrialRule, trial_table

RULE = TrialRule(
    stimulus=("left", "right"), response=("press",), start=("start",), correct=("smile",), incorrect=("sad",)
)
FEEDBACK = {"smile": True, "sad": False}


def plain_trials(rows, rule):
    """Trials of one recording from its rows (onset, value, feedback), by a loop over events."""
    rows = sorted((r for r in rows if not np.isnan(r[0])), key=lambda r: r[0])
    starts = [r for r in rows if r[1] in (rule.start or rule.stimulus)]
    out = []
    for k, (start_s, *_) in enumerate(starts):
        stop_s = starts[k + 1][0] if k + 1 < len(starts) else np.inf
        trial = [r for r in rows if start_s <= r[0] < stop_s]
        stimulus = next((r for r in trial if r[1] in rule.stimulus), (np.nan, None, None))
        from_s = start_s if np.isnan(stimulus[0]) else stimulus[0]
        presses = [r for r in trial if r[1] in rule.response]
        press = next((r for r in presses if r[0] >= from_s), (np.nan, None, None))
        out.append(
            (
                start_s,
                np.nan if stop_s == np.inf else stop_s,
                stimulus[0],
                press[0],
                stimulus[1],
                press[1],
                FEEDBACK.get(press[2]),
                len(presses),
            )
        )
    return out


def rows_of(table):
    columns = list(COLUMNS)[2:]
    return [[None if pd.isna(v) else v for v in row] for row in table[columns].itertuples(index=False)]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(st.integers(0, 30).map(lambda n: n / 2), st.just(np.nan)),
        st.sampled_from(["start", "left", "right", "press", "other"]),
        st.sampled_from(["smile", "sad", "n/a", None]),
    ),
    max_size=40,
)


@given(EVENTS, st.booleans())
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_trials_are_those_of_a_plain_loop(recordings, found, with_start):
    rule = RULE if with_start else RULE._replace(start=())
    table = recordings([[(0, 1000)]] * 3)
    events = pd.DataFrame(
        [(f"c:r{r:03d}", onset_s, value, feedback) for r, onset_s, value, feedback in found],
        columns=["recording_id", "onset_s", "value", "feedback"],
    ).astype({"recording_id": "str", "onset_s": "float64", "value": "str", "feedback": "str"})
    trials = trial_table(table, events, rule)
    assert trials.dtypes.astype(str).to_dict() == COLUMNS
    for r in range(3):
        expected = [
            [None if pd.isna(v) else v for v in row] for row in plain_trials([e[1:] for e in found if e[0] == r], rule)
        ]
        assert rows_of(trials[trials["recording"] == r]) == expected
        assert (trials.loc[trials["recording"] == r, "recording_id"] == f"c:r{r:03d}").all()


def test_the_rule_in_words(recordings, events):
    rows = [
        (10.0, "start"), (12.0, "left"), (12.0, "press"),  # a press at the stimulus is a response
        (20.0, "start"), (20.5, "press"), (22.0, "right"), (23.0, "press"), (23.5, "press"),  # an early press is none
        (30.0, "start"), (31.0, "press"),  # no stimulus: the first press
        (40.0, "start"), (41.0, "left"), (42.0, "right"),  # the first of two, and no response
        (50.0, "start"), (51.0, "left"), (52.0, "press"),  # nothing ends it
    ]  # fmt: skip
    trials = trial_table(recordings([[(0, 9000)]]), events([("c:r000", *row) for row in rows]), RULE)
    times = trials[["trial_start_s", "trial_stop_s", "stimulus_s", "response_s"]].astype(object)
    assert times.where(times.notna(), None).to_numpy().tolist() == [
        [10, 20, 12, 12],
        [20, 30, 22, 23],
        [30, 40, None, 31],
        [40, 50, 41, None],
        [50, None, 51, 52],
    ]
    assert trials["n_responses"].tolist() == [1, 3, 1, 0, 1]
    assert trials["correct"].isna().all(), "without the column nobody knows"


def test_a_table_without_trials_keeps_its_columns(recordings, events):
    for rows in ([], [("c:r000", 1.0, "press")], [("elsewhere", 1.0, "start")]):
        trials = trial_table(recordings([[(0, 900)]]), events(rows), RULE)
        assert trials.empty
        assert trials.dtypes.astype(str).to_dict() == COLUMNS


@pytest.fixture
def eeglab_sample(shared_data: Path) -> Path:
    return shared_data / "eeglab_sample" / "eegprep" / "sample_data" / "eeglab_data.set"


def test_the_74_reaction_times_of_eeglab_data(eeglab_sample: Path, tmp_path: Path, recordings):
    """Read as in production: listed in a BIDS folder, converted, its events moved to the time of the stored samples."""
    name = "sub-01/eeg/sub-01_task-attention_eeg.set"
    (tmp_path / name).parent.mkdir(parents=True)
    for suffix in (".set", ".fdt"):
        shutil.copy(eeglab_sample.with_suffix(suffix), (tmp_path / name).with_suffix(suffix))
    done = convert_file(BidsCorpus(), tmp_path, name, tmp_path / ".spool", SignalParams(rate_hz=128))
    assert isinstance(done, Converted), done
    facts = done.facts
    table = recordings([list(zip(facts["segment_starts"], facts["segment_stops"], strict=True))], rate_hz=128.0)
    events = pd.DataFrame(done.events).assign(recording_id="c:r000")
    trials = trial_table(table, events, TrialRule(stimulus=("square",), response=("rt",)))
    found_s = (trials["response_s"] - trials["stimulus_s"]).dropna().to_numpy()
    assert len(trials) == 80
    assert (len(found_s), round(found_s.mean(), 3), round(found_s.std(), 3)) == (74, 0.418, 0.058)
    assert (round(found_s.min(), 3), round(found_s.max(), 3)) == (0.332, 0.731)
    np.testing.assert_allclose(found_s, plain_reaction_times(eeglab_sample), atol=2e-6)  # MNE rounds to microseconds


def plain_reaction_times(path: Path) -> list[float]:
    """Time from each square to the first rt before the next square, of MNE's annotations."""
    notes = mne.io.read_raw_eeglab(path, verbose="error").annotations
    shown_s, out = None, []
    for note in sorted(notes, key=lambda n: n["onset"]):
        if note["description"] == "square":
            shown_s = note["onset"]
        elif shown_s is not None:
            out.append(float(note["onset"] - shown_s))
            shown_s = None
    return out
