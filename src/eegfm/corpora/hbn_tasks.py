"""BIDS tasks of HBN-EEG: their events, their start and stop, and persons with unusable data.

Recordings were cut out of a whole session. They begin in the previous task and continue into the next. Names and codes
of events come from the ``task-<name>_events.json`` files of the published data sets.
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
"""Subjects that the start kit of the EEG Foundation Challenge 2025 leaves out, with the faults of their side files."""

NOISE = frozenset({"boundary", "break cnt", "9999", "IBEG", "IEND", "net", "SPIK", ""})
"""Marks of the recording system that occur in files of every task and have no meaning for any task."""


@dataclass(frozen=True)
class HbnTask:
    """One task.

    Args:
        start: Pattern of the event that starts the task.
        own: Pattern of the events between start and stop.
        stop: Pattern of the event that stops the task; "" if there is none.
        codes: Codes of the start and stop events, for tasks that share the names of these events.
        columns: Columns of the task's ``events.tsv`` besides those of all tasks.
    """

    start: str
    own: str
    stop: str = ""
    codes: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()

    def starts(self, event: Mapping[str, Any], run: str = "") -> bool:
        """True if an event starts this task, in one run or in any."""
        return self._is(event, self.start.format(run=run or r"\d"), 0)

    def stops(self, event: Mapping[str, Any]) -> bool:
        """True if an event stops this task."""
        return bool(self.stop) and self._is(event, self.stop, 1)

    def owns(self, event: Mapping[str, Any], run: str = "") -> bool:
        """True if an event belongs to this task by name, including start and stop."""
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
"""Columns of HBN's ``*_events.tsv`` besides those of BIDS."""


class TaskEvents(NamedTuple):
    """The task's own events of a recording.

    Args:
        events: Events of the task, between its start and its stop.
        start_s: Start of the task in recording time; None without such an event.
        stop_s: Stop of the task, or start of the next task; None without such an event.
        flags: Flags for omitted events and for a missing start.
        noise: Values of no task that occur in nearly every file, e.g. ``break cnt``. They are left out and are no
            fault.
    """

    events: list[dict[str, Any]]
    start_s: float | None
    stop_s: float | None
    flags: tuple[str, ...]
    noise: tuple[str, ...]


def own_events(events: Sequence[dict[str, Any]], task_name: str, run: str) -> TaskEvents:
    """Keep a task's own events, from its start to its stop or to the start of the next task.

    If the start is missing, events are kept from the first one that belongs to the task by name.

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
    """Index after the task's last event, and the time when it stops or the next task starts."""
    for i, event in enumerate(events[first:], start=first):
        if i in own:  # its own start may be repeated
            if task.stops(event):
                return i + 1, float(event["onset_s"])
        elif any(other.starts(event) for other in TASKS.values()):
            return i, float(event["onset_s"])
    return len(events), None
