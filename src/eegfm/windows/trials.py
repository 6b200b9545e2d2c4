"""Tables of trials: match stimuli and responses of all recordings at once."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eegfm.windows.runs import Ints
from eegfm.windows.spans import own_events

COLUMNS = {
    "recording": "int64",
    "recording_id": "str",
    "trial_start_s": "float64",
    "trial_stop_s": "float64",
    "stimulus_s": "float64",
    "response_s": "float64",
    "stimulus": "str",
    "response": "str",
    "correct": "boolean",
    "n_responses": "int64",
}
"""Columns of a trial table, one row per trial. ``recording`` is the index label of the row in the recordings table.

Times are onsets of events. ``trial_stop_s`` is missing in the last trial of a recording, which has no end. ``correct``
is missing if the feedback is neither correct nor incorrect. ``n_responses`` counts all responses of the trial, also
those before its stimulus.
"""
_NEVER = np.int64(2**62)


class TrialRule(NamedTuple):
    """Values of the events that make up a trial.

    Args:
        stimulus: Values of stimuli.
        response: Values of responses.
        start: Values of events that start a trial; if empty, each stimulus starts one.
        column: Column of the events table that holds the values.
        feedback: Column of the events table that holds the feedback to a response; it may be absent.
        correct: Values of ``feedback`` to a correct response.
        incorrect: Values of ``feedback`` to an incorrect response.
    """

    stimulus: tuple[str, ...]
    response: tuple[str, ...]
    start: tuple[str, ...] = ()
    column: str = "value"
    feedback: str = "feedback"
    correct: tuple[str, ...] = ()
    incorrect: tuple[str, ...] = ()


def trial_table(recordings: pd.DataFrame, events: pd.DataFrame, rule: TrialRule) -> pd.DataFrame:
    """One row per trial, in order of recording and start, with the columns of ``COLUMNS``.

    A trial lasts from its start up to, but without, the next start. The last trial lasts to the end of the recording.
    The first stimulus in the trial counts. The first response at or after this stimulus counts; without a stimulus, the
    first response in the trial. Of events at one time, the first in the table counts.

    Source: ``build_trial_table`` of EEGDash, ``eegdash/hbn/windows.py``, which leaves out the last trial.

    Args:
        recordings: Recordings to use; index labels are kept.
        events: The events table, in any order.
        rule: Values of the events that make up a trial.
    """
    wanted = {*rule.start, *rule.stimulus, *rule.response}
    found, recording = own_events(recordings, events[events[rule.column].isin(wanted)])
    order = np.lexsort((found["onset_s"].to_numpy(dtype=float), recording))
    found, recording = found.iloc[order], recording[order]
    onset_s = found["onset_s"].to_numpy(dtype=float)
    time = _time_numbers(recording, onset_s)
    begins, stimuli, responses = (
        np.flatnonzero(found[rule.column].isin(values))
        for values in (rule.start or rule.stimulus, rule.stimulus, rule.response)
    )
    following, stop = _next_of_recording(recording, time, begins)
    stimulus = _first_between(time, stimuli, time[begins], stop)
    search_from = np.where(stimulus >= 0, time[stimulus] if len(time) else stimulus, time[begins])
    response = _first_between(time, responses, search_from, stop)
    n_before = [np.searchsorted(time[responses], edge, side="left") for edge in (time[begins], stop)]
    texts = found[rule.column].to_numpy(dtype=object)
    table = pd.DataFrame(
        {
            "recording": recording[begins],
            "recording_id": found["recording_id"].to_numpy(dtype=object)[begins],
            "trial_start_s": onset_s[begins],
            "trial_stop_s": _taken(onset_s, following, np.nan),
            "stimulus_s": _taken(onset_s, stimulus, np.nan),
            "response_s": _taken(onset_s, response, np.nan),
            "stimulus": _taken(texts, stimulus, None),
            "response": _taken(texts, response, None),
            "correct": _taken(_was_correct(found, rule), response, None),
            "n_responses": n_before[1] - n_before[0],
        }
    )
    return table.astype(COLUMNS)


def _time_numbers(recording: Ints, onset_s: NDArray[np.float64]) -> Ints:
    """Number that rises with every new time, over all recordings; events of one recording and time share it."""
    if not len(recording):
        return np.zeros(0, dtype=np.int64)
    is_new = (np.diff(recording) != 0) | (np.diff(onset_s) != 0)
    return np.concatenate([[0], np.cumsum(is_new)]).astype(np.int64)


def _next_of_recording(recording: Ints, time: Ints, begins: Ints) -> tuple[Ints, Ints]:
    """Next start of the same recording (-1 if there is none), and the time number at which each trial ends."""
    following = np.append(begins[1:], -1)[: len(begins)]
    is_closed = (following >= 0) & (recording[following] == recording[begins])
    last = np.searchsorted(recording, recording[begins], side="right") - 1
    stop = np.where(is_closed, time[following], time[last] + 1)
    return np.where(is_closed, following, -1), stop


def _first_between(time: Ints, events: Ints, start: Ints, stop: Ints) -> Ints:
    """First of the selected events at or after each start and before each stop; -1 if there is none."""
    times = np.append(time[events], _NEVER)
    at = np.searchsorted(times, start, side="left")
    found: Ints = np.where(times[at] < stop, np.append(events, -1)[at], -1)
    return found


def _taken(values: NDArray[np.generic], which: Ints, missing: object) -> NDArray[np.generic]:
    """The chosen values; a missing value for index -1."""
    out = np.full(len(which), missing, dtype=values.dtype)
    out[which >= 0] = values[which[which >= 0]]
    return out


def _was_correct(found: pd.DataFrame, rule: TrialRule) -> NDArray[np.object_]:
    """Tell whether the feedback of each event is correct; None if it is neither correct nor incorrect."""
    out = np.full(len(found), None, dtype=object)
    if rule.feedback in found:
        out[found[rule.feedback].isin(rule.correct)] = True
        out[found[rule.feedback].isin(rule.incorrect)] = False
    return out
