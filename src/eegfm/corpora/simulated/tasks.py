"""Course and events of simulated recordings: open eyes, button presses, movies."""

from dataclasses import dataclass, field

import numpy as np

from eegfm.corpora.simulated.config import Effects, Movie
from eegfm.corpora.simulated.people import RT_RANGE_S, RT_TRIAL_SD_S, Person

MOVIE_CODES: dict[str, tuple[int, int]] = {
    "DiaryOfAWimpyKid": (81, 101),
    "FunwithFractals": (82, 102),
    "DespicableMe": (83, 103),
    "ThePresent": (84, 104),
}
"""Codes of ``video_start`` and ``video_stop`` per movie, as published."""

OPEN_S, CLOSED_S = 20.0, 40.0
REACTION_S = 0.8
TARGET_DELAYS_S = (2.8, 4.4, 6.0)
TRIAL_END_S = 2.4
NO_RESPONSE_RATIO = 0.12
WRONG_RATIO = 0.12
EARLY_PRESS_RATIO = 0.05
MOVIE_MARGIN_S = 5


@dataclass(frozen=True)
class Event:
    """One row of ``events.tsv``."""

    onset_s: float
    value: str
    code: str
    feedback: str = "n/a"


@dataclass(frozen=True)
class Timeline:
    """The course of one recording.

    Attributes:
        duration_s: Its length.
        eyes_open_s: Spans (start, stop) with open eyes; the eyes are closed in between.
        presses: Time of each button-press potential, and whether the right hand pressed.
        movie: Name of the movie, its start and its length, in seconds.
        events: Rows of ``events.tsv`` in order of time.
    """

    duration_s: int
    eyes_open_s: tuple[tuple[float, float], ...]
    presses: tuple[tuple[float, bool], ...] = ()
    movie: tuple[Movie, float, int] | None = None
    events: tuple[Event, ...] = ()


def clinical(duration_s: int, rng: np.random.Generator) -> Timeline:
    """Closed eyes that open for a while now and then, without events."""
    spans, time_s = [], float(rng.uniform(10, 25))
    while time_s < duration_s:
        stop_s = time_s + float(rng.uniform(6, 12))
        spans.append((time_s, stop_s))
        time_s = stop_s + float(rng.uniform(20, 40))
    return Timeline(duration_s, tuple(spans))


def resting(duration_s: int, rng: np.random.Generator) -> Timeline:
    """RestingState from about 7 s on: a cue to open the eyes, after 20 s a cue to close them, after 40 s the next."""
    events = [Event(0, "break cnt", "break cnt"), Event(_tick(1.8), "resting_start", "90")]
    spans, time_s = [], _tick(rng.uniform(6, 8))
    start_s = 0.0
    while time_s + 1 < duration_s:
        events.append(Event(_tick(time_s), "instructed_toOpenEyes", "20"))
        close_s = time_s + OPEN_S
        if close_s + 1 < duration_s:
            events.append(Event(_tick(close_s), "instructed_toCloseEyes", "30"))
        spans.append((start_s, close_s + REACTION_S))
        time_s = close_s + CLOSED_S
        start_s = time_s + REACTION_S
    return Timeline(duration_s, tuple(spans), events=tuple(events))


def movie(name: Movie, duration_s: int, rng: np.random.Generator) -> Timeline:
    """A movie between ``video_start`` and ``video_stop``; it starts on a whole sample at every rate."""
    start_s = round(float(rng.uniform(1, 3)), 2)
    length_s = duration_s - MOVIE_MARGIN_S
    codes = MOVIE_CODES[name]
    events = (
        Event(0, "9999", "9999"),
        Event(start_s, "video_start", str(codes[0])),
        Event(start_s + length_s, "video_stop", str(codes[1])),
    )
    return Timeline(duration_s, ((0.0, duration_s),), movie=(name, start_s, length_s), events=events)


@dataclass
class _Block:
    """The trials of one run during the draw."""

    person: Person
    effects: Effects
    rng: np.random.Generator
    events: list[Event] = field(default_factory=list)
    presses: list[tuple[float, bool]] = field(default_factory=list)

    def press(self, time_s: float, right: bool, feedback: str) -> None:
        """Log a press. Its potential comes with a small random delay."""
        onset_s = _tick(time_s)
        value, code = ("right_buttonPress", "13") if right else ("left_buttonPress", "12")
        self.events.append(Event(onset_s, value, code, feedback))
        self.presses.append((onset_s + self.effects.press_jitter_s * float(self.rng.standard_normal()), right))

    def trial(self, start_s: float, target_s: float) -> None:
        """One trial: target, and mostly one press after the person's response time."""
        if self.rng.random() < EARLY_PRESS_RATIO:
            self.press(start_s + self.rng.uniform(0.5, 2.0), bool(self.rng.random() < 0.5), "non_target")
        right = bool(self.rng.random() < 0.5)
        self.events.append(Event(target_s, *(("right_target", "9") if right else ("left_target", "8"))))
        rt_s = float(np.clip(self.person.rt_mean_s + RT_TRIAL_SD_S * self.rng.standard_normal(), *RT_RANGE_S))
        if self.rng.random() < NO_RESPONSE_RATIO:
            return
        wrong = bool(self.rng.random() < WRONG_RATIO)
        self.press(target_s + rt_s, right != wrong, "sad_face" if wrong else "smiley_face")


def contrast_change(person: Person, effects: Effects, run: int, duration_s: int, rng: np.random.Generator) -> Timeline:
    """contrastChangeDetection: trials with a target after 2.8, 4.4 or 6 s and 2.4 s to answer it.

    As in the published files, the run ends with a trial that has no target, so that every trial before it is closed.
    """
    block = _Block(person, effects, rng)
    block.events += [
        Event(0, "break cnt", "break cnt"),
        Event(_tick(2), f"contrastChangeB{run}_start", str(93 + run)),
    ]
    time_s = _tick(rng.uniform(4, 6))
    while True:
        block.events.append(Event(time_s, "contrastTrial_start", "5"))
        target_s = _tick(time_s + float(rng.choice(TARGET_DELAYS_S)))
        if target_s + TRIAL_END_S + 1 > duration_s:
            break
        block.trial(time_s, target_s)
        time_s = _tick(target_s + TRIAL_END_S)
    return Timeline(duration_s, ((0.0, duration_s),), tuple(block.presses), events=tuple(block.events))


def _tick(time_s: float) -> float:
    """Round to the 2-ms clock of the published onsets."""
    return round(round(float(time_s) * 500) / 500, 3)
