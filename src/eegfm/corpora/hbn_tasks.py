"""BIDS tasks of HBN-EEG: their events, their start and stop, and persons with unusable data.

Recordings were cut out of a whole session: they begin in the task before, and run on into the next. Names and codes of
events are those of the ``task-<name>_events.json`` files of the published data sets.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

_SHORT = "its resting state lasts {} s: the recording was cut off"
_SIX_CHANNELS = "6 channels against a common reference in place of 129 against Cz"
START_KIT_EXCLUSIONS = {
    "NDARWV769JM7": "on the exclusion list of the challenge's start kit; its side files show no fault",
    "NDARME789TD2": _SHORT.format("2.0"),
    "NDARUA442ZVF": _SHORT.format("2.0"),
    "NDARJP304NK1": _SHORT.format("5.9"),
    "NDARTY128YLU": _SHORT.format("0.04"),
    "NDARDW550GU6": _SHORT.format("1.2"),
    "NDARLD243KRE": _SHORT.format("0.01"),
    "NDARUJ292JXV": _SIX_CHANNELS,
    "NDARBA381JGH": _SIX_CHANNELS,
}
"""Subjects that the start kit of the EEG Foundation Challenge 2025 leaves out, and what their side files show."""

NOISE = frozenset({"boundary", "break cnt", "9999", "IBEG", "IEND", "net", "SPIK", ""})
"""Marks of the recording system that stand in files of every task and mean nothing to any."""


@dataclass(frozen=True)
class HbnTask:
    """One task.

    Args:
        start: Pattern of the event that starts it.
        own: Pattern of the events between start and stop.
        stop: Pattern of the event that stops it; "" for a task that has none.
        codes: Codes of the start and stop events where several tasks share their names.
        columns: Columns that its ``events.tsv`` has beside those that all tasks have.
    """

    start: str
    own: str
    stop: str = ""
    codes: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()

    def starts(self, event: Mapping[str, Any], run: str = "") -> bool:
        """Whether an event is its start, of one run or of any."""
        return self._is(event, self.start.format(run=run or r"\d"), 0)

    def stops(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is its stop."""
        return bool(self.stop) and self._is(event, self.stop, 1)

    def owns(self, event: Mapping[str, Any], run: str = "") -> bool:
        """Whether an event belongs to it by name, start and stop included."""
        return self.starts(event, run) or self.stops(event) or bool(re.fullmatch(self.own, event["value"]))

    def _is(self, event: Mapping[str, Any], pattern: str, which: int) -> bool:
        if not re.fullmatch(pattern, event["value"]):
            return False
        code = event.get("event_code")
        return self.codes is None or code is None or code == self.codes[which]


def _movie(start: str, stop: str) -> HbnTask:
    return HbnTask(start="video_start", own="", stop="video_stop", codes=(start, stop))


_SEQUENCE = HbnTask(
    start="seqLearning_start",
    own=r"learningBlock_\d|dot_no\d_(ON|OFF)",
    stop="seqLearning_stop",
    columns=("user_answer", "correct_answer", "target_count"),
)
TASKS = {
    "RestingState": HbnTask(start="resting_start", own="instructed_to(Open|Close)Eyes"),
    "DespicableMe": _movie("83", "103"),
    "DiaryOfAWimpyKid": _movie("81", "101"),
    "FunwithFractals": _movie("82", "102"),
    "ThePresent": _movie("84", "104"),
    "contrastChangeDetection": HbnTask(
        start="contrastChangeB{run}_start",
        own="contrastTrial_start|(left|right)_(target|buttonPress)",
        columns=("feedback",),
    ),
    "surroundSupp": HbnTask(
        start="surroundSuppB{run}_start",
        own="fixpoint_ON|stim_ON",
        columns=("background", "foreground_contrast", "stimulus_cond"),
    ),
    "symbolSearch": HbnTask(
        start="symbolSearch_start", own="newPage|trialResponse", columns=("user_answer", "correct_answer")
    ),
    "seqLearning6target": _SEQUENCE,
    "seqLearning8target": _SEQUENCE,
}
COLUMNS = ("event_code", *sorted({column for task in TASKS.values() for column in task.columns}))
"""Columns of ``*_events.tsv`` that HBN has beside those of BIDS."""


class TaskEvents(NamedTuple):
    """What is left of the events of a recording.

    Args:
        events: The task's own, between its start and its stop.
        start_s: Its start, in recording time; None without such an event.
        stop_s: Its stop, or the start of the next task; None without such an event.
        flags: What was left out, and what is missing.
        noise: Values of no task that stand in nearly every file, e.g. ``break cnt``: left out too, and no fault.
    """

    events: list[dict[str, Any]]
    start_s: float | None
    stop_s: float | None
    flags: tuple[str, ...]
    noise: tuple[str, ...]


def own_events(events: Sequence[dict[str, Any]], task_name: str, run: str) -> TaskEvents:
    """Keep a task's own events, from its start to its stop or to the start of the next task.

    Where the start is missing, events are kept from the first that is the task's own by name.

    Args:
        events: Rows of ``events.tsv``: ``onset_s``, ``value`` and, where there is one, ``event_code``.
        task_name: BIDS name of the task.
        run: BIDS run, or "".

    Returns:
        Flags: ``other_task_events:<n>``, ``unknown_events:<n>`` (values of no task), ``no_task_start``,
        ``unknown_task`` (nothing but noise is left out).
    """
    noise = tuple(sorted({event["value"] for event in events} & NOISE))
    meant = sorted((e for e in events if e["value"] not in NOISE), key=lambda e: float(e["onset_s"]))
    if task_name not in TASKS:
        return TaskEvents(meant, None, None, ("unknown_task",), noise)
    task = TASKS[task_name]
    start = next((i for i, event in enumerate(meant) if task.starts(event, run)), None)
    own = [i for i, event in enumerate(meant) if task.owns(event, run)]
    first = own[0] if start is None and own else start or 0
    end, stop_s = _end(meant, first, task, set(own)) if own else (0, None)
    kept = [i for i in own if first <= i < end]
    n_unknown = sum(not any(t.owns(meant[i]) for t in TASKS.values()) for i in set(range(len(meant))) - set(own))
    counts = {"other_task_events": len(meant) - len(kept) - n_unknown, "unknown_events": n_unknown}
    flags = [f"{flag}:{n}" for flag, n in counts.items() if n]
    if start is None:
        flags.append("no_task_start")
    start_s = None if start is None else float(meant[start]["onset_s"])
    return TaskEvents([meant[i] for i in kept], start_s, stop_s, tuple(flags), noise)


def _end(events: Sequence[dict[str, Any]], first: int, task: HbnTask, own: Collection[int]) -> tuple[int, float | None]:
    """Index behind the task's last event, and when it stops or the next task starts."""
    for i, event in enumerate(events[first:], start=first):
        if i in own:  # its own start may be repeated
            if task.stops(event):
                return i + 1, float(event["onset_s"])
        elif any(other.starts(event) for other in TASKS.values()):
            return i, float(event["onset_s"])
    return len(events), None
