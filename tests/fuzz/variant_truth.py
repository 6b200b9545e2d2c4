"""Truth of a small corpus: the persons, the signal of each electrode, the events."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ELECTRODES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
CLASSES = ("go", "stop", "rest")
RATES_HZ = (100.0, 125.0, 200.0, 250.0)
EVENT_S = 1.0
"""Length of the windows after events."""
SPACE_S = 2.5
"""From one event to the next: no window meets another event."""


@dataclass
class Event:
    """Something that happened, in seconds from the recording's start."""

    onset_s: float
    duration_s: float
    value: str


@dataclass
class Person:
    """A participant; None where a value is not known."""

    subject: str
    age: float | None
    sex: str


@dataclass
class Take:
    """One recording of one person, however many files hold it.

    Args:
        subject: Whose it is.
        run: Number, as text.
        seed: Of amplitudes, phases and frequencies.
        reference: What it was recorded against; ``other`` for a choice that no file can state.
        events: In order of time.
        bad: Stretches that were annotated bad: start and stop in seconds.
        bad_channels: Electrodes that were called bad.
    """

    subject: str
    run: str
    seed: int
    rate_hz: float
    duration_s: float
    reference: str = "other"
    events: list[Event] = field(default_factory=list)
    bad: list[tuple[float, float]] = field(default_factory=list)
    bad_channels: set[str] = field(default_factory=set)

    def signal_uv(self, start_s: float, n_samples: int, rate_hz: float) -> NDArray[np.float64]:
        """(C, T) a tone per electrode, of a frequency, height and phase of its own."""
        rng = np.random.default_rng(self.seed)
        hz = 5.0 + 3.0 * np.arange(len(ELECTRODES)) + rng.uniform(0, 2, len(ELECTRODES))
        uv, phase = rng.uniform(30, 60, len(ELECTRODES)), rng.uniform(0, 2 * np.pi, len(ELECTRODES))
        time_s = start_s + np.arange(n_samples) / rate_hz
        return np.asarray(uv[:, None] * np.sin(2 * np.pi * hz[:, None] * time_s + phase[:, None]))

    def good_stretches(self, start_s: float, stop_s: float) -> list[tuple[float, float]]:
        """What is not bad of a part of it, in seconds from the recording's start."""
        found, at = [], start_s
        for bad_start, bad_stop in sorted(self.bad):
            if bad_stop > at and bad_start < stop_s:
                found.append((at, min(bad_start, stop_s)))
                at = max(at, bad_stop)
        return [(a, b) for a, b in [*found, (at, stop_s)] if b > a]


@dataclass
class Truth:
    """A corpus."""

    persons: list[Person]
    takes: list[Take]

    def person(self, subject: str) -> Person:
        """One of the persons."""
        return next(person for person in self.persons if person.subject == subject)


def draw_truth(rng: np.random.Generator) -> Truth:
    """Two or three persons with one or two recordings each."""
    subjects = [
        f"{number:02d}" for number in sorted(rng.choice(np.arange(1, 10), int(rng.integers(2, 4)), replace=False))
    ]
    persons = [Person(s, float(rng.integers(20, 80)), str(rng.choice(["F", "M"]))) for s in subjects]
    takes = [
        Take(
            subject,
            str(run),
            seed=int(rng.integers(1 << 30)),
            rate_hz=float(rng.choice(RATES_HZ)),
            duration_s=float(rng.integers(14, 20)),
        )
        for subject in subjects
        for run in range(1, 1 + int(rng.integers(1, 3)))
    ]
    for take in takes:
        onsets_s = np.arange(1.0, take.duration_s - 1.5, SPACE_S)
        take.events = [Event(float(t), 0.5, CLASSES[k % len(CLASSES)]) for k, t in enumerate(onsets_s)]
    return Truth(persons, takes)
