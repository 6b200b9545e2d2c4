"""Judge the result of a corpus by its truth alone: right, reported as wrong, silently wrong, or a crash.

Nothing here calls the project's readers, filters or cutters: signals are compared with the tones that were written,
tables and windows with plain loops.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fuzz.variant_files import SignalFile, Variant
from fuzz.variant_truth import ELECTRODES, EVENT_S

RATE_HZ = 100.0
EDGE_S = 1.5
"""Seconds at an edge in which a filter rings. Samples so near an edge are not compared."""
KNOWN_REFERENCES = ("average", "linked_ears", "Cz")
_MISSING = ("", "nan", "None", "<NA>")


@dataclass
class Outcome:
    """What became of a corpus.

    Args:
        error: The error that ended the run, or None.
        is_crash: Whether that is an error of a kind that a user sees as a traceback.
        log: Warnings of the run.
        files, recordings, events, windows: The tables, where the run came so far.
        signals_uv: By recording, (T, C) as stored.
        channels: By recording, names in store order.
        reference: By recording.
    """

    error: str | None = None
    is_crash: bool = False
    log: str = ""
    file_outcomes: pd.DataFrame | None = None
    recordings: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    windows: pd.DataFrame | None = None
    signals_uv: dict[str, Any] | None = None
    channels: dict[str, tuple[str, ...]] | None = None
    reference: dict[str, str] | None = None


@dataclass
class Verdict:
    """``right``, ``said``, ``silently wrong`` or ``traceback``, and why."""

    word: str
    why: str = ""


def judge(variant: Variant, outcome: Outcome) -> Verdict:
    """Compare a corpus with what became of it."""
    if outcome.is_crash:
        return Verdict("traceback", str(outcome.error))
    if outcome.recordings is None:
        assert outcome.error is not None, "a run ends with tables or with an error"
        return Verdict("said", outcome.error) if _is_clear(outcome.error) else Verdict("silently wrong", outcome.error)
    judging = _Judging(variant, outcome)
    judging.run()
    if judging.wrong:
        return Verdict("silently wrong", "; ".join(judging.wrong))
    if outcome.error is not None:
        return Verdict("said", outcome.error) if _is_clear(outcome.error) else Verdict("silently wrong", outcome.error)
    return Verdict("said", "; ".join(judging.said)) if judging.said else Verdict("right")


def _is_clear(message: str) -> bool:
    """One line that says enough to act on."""
    return "\n" not in message and len(message) > 30


class _Judging:
    """One comparison: what is wrong without a word, and what is wrong with one."""

    def __init__(self, variant: Variant, outcome: Outcome) -> None:
        self.variant, self.outcome = variant, outcome
        self.wrong: list[str] = []
        self.said: list[str] = []
        self.rows = {row["path"]: row for row in outcome.recordings.to_dict("records")}

    @property
    def _log(self) -> str:
        return self.outcome.log.casefold()

    def add(self, problem: str, *, is_said: bool) -> None:
        """Note something that is not as it was."""
        (self.said if is_said else self.wrong).append(problem)

    def run(self) -> None:
        """All comparisons."""
        self._accounts()
        self._persons()
        for path, file in self.variant.signals.items():
            if path in self.rows:
                row = self.rows[path]
                self._signal(path, file, row)
                self._reference(path, file, row)
                self._bad_channels(path, file, row)
                self._labels(path, file, row)
                self._events(path, file, row)
        if self.outcome.windows is not None:
            self._classes()
            for path, file in self.variant.signals.items():
                if path in self.rows:
                    self._windows(path, file, self.rows[path])

    def _accounts(self) -> None:
        """Every file has a row that says what became of it; no part of a recording counts twice."""
        why = {row["path"]: f"{row['outcome']} {row['why']}" for row in self.outcome.file_outcomes.to_dict("records")}
        for path in self.variant.signals:
            if path not in why:
                self.add(f"{path} has no row", is_said=False)
            elif path not in self.rows:
                self.add(f"{path}: {why[path]}", is_said=len(why[path].split()) > 1)
        for path in self.rows:
            if path not in self.variant.signals:
                self.add(f"{path} was never recorded", is_said=False)
        inside = [(path, file) for path, file in self.variant.signals.items() if path in self.rows]
        for k, (path, file) in enumerate(inside):
            for other, twin in inside[:k]:
                overlaps = file.start_s < twin.stop_s and twin.start_s < file.stop_s
                if file.take is twin.take and overlaps:
                    self.add(f"{path} and {other} are one recording and both count", is_said=False)

    def _persons(self) -> None:
        pairs = {
            (self.variant.signals[p].take.subject, row["person"])
            for p, row in self.rows.items()
            if p in self.variant.signals
        }
        for side, what in ((0, "is several persons"), (1, "stands for several persons")):
            twice = [name for name, n in Counter(pair[side] for pair in pairs).items() if n > 1]
            for name in twice:
                self.add(f"{name} {what}: {sorted(pairs)}", is_said=False)

    def _signal(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        name = row["recording_id"]
        stored, channels = self.outcome.signals_uv[name], self.outcome.channels[name]
        if set(channels) != set(ELECTRODES):
            lost = set(ELECTRODES) - set(channels)
            self.add(
                f"{path}: channels {channels}",
                is_said=bool(row["flags"]) and not set(channels) - set(ELECTRODES) and bool(lost),
            )
        n_expected = (file.stop_s - file.start_s) * RATE_HZ
        if abs(len(stored) - n_expected) > 1:
            self.add(f"{path}: {len(stored)} samples in place of {n_expected:g}", is_said=False)
            return
        segments = zip(row["segment_starts"], row["segment_stops"], row["segment_onsets_s"], strict=True)
        for start, stop, onset_s in segments:
            # Nothing is missing, so stored time is recording time; a segment may start between two stored samples.
            if abs(onset_s - start / RATE_HZ) > 1 / RATE_HZ:
                self.add(f"{path}: a segment at {start / RATE_HZ:g} s is said to start at {onset_s:g} s", is_said=False)
            truth = file.take.signal_uv(file.start_s + onset_s, stop - start, RATE_HZ)
            inside = slice(round(EDGE_S * RATE_HZ), stop - start - round(EDGE_S * RATE_HZ))
            for k, electrode in enumerate(ELECTRODES):
                if electrode in channels and electrode not in file.flat and inside.stop - inside.start > 50:
                    was, now = truth[k, inside], stored[start:stop, channels.index(electrode)][inside]
                    error = np.sqrt(np.mean((now - was) ** 2) / np.mean(was**2))
                    if error > 0.1:
                        self.add(f"{path}: {electrode} is off by {error:.0%} from {onset_s:g} s", is_said=False)

    def _reference(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        found, true = self.outcome.reference[row["recording_id"]], file.take.reference
        if found not in (true, "unknown"):
            self.add(f"{path}: reference {found}, it was {true}", is_said=False)

    def _bad_channels(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        said = {flag.partition(":")[2] for flag in row["flags"] if flag.startswith(("marked_bad:", "flat:"))}
        # A flat electrode that was the reference has no flag.
        is_against_cz = self.outcome.reference[row["recording_id"]] == "Cz"
        expected = file.take.bad_channels - ({"Cz"} & {*file.flat} if is_against_cz else set())
        lost, added = expected - said, said - expected
        if lost or added:
            self.add(f"{path}: bad channels {sorted(said)}, they were {sorted(expected)}", is_said=False)

    def _labels(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        if self.variant.kind != "bids" or "participants.tsv" not in self.variant.sheets:
            return
        person = self.variant.truth.person(file.take.subject)
        for column, true in (("age_years", person.age), ("sex", person.sex)):
            found = row.get(column)
            is_missing = found is None or str(found) in _MISSING
            if true is None or true == "":
                if not is_missing:
                    self.add(f"{path}: {column} {found}, it is not known", is_said=False)
            elif is_missing:
                flags = " ".join(row["flags"])
                is_said = "participants" in self._log or "participant" in flags or "label" in flags
                self.add(f"{path}: {column} is lost, it was {true}", is_said=is_said)
            elif found != true:
                self.add(f"{path}: {column} {found}, it was {true}", is_said=False)

    def _events(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        table = self.outcome.events
        own = table[table["recording_id"] == row["recording_id"]]
        found = Counter(
            (value, round(onset_s, 2))
            for value, onset_s in zip(own["value"], own["onset_s"], strict=True)
            if value in self._values and 0 <= onset_s < file.stop_s - file.start_s
        )
        expected = Counter((e.value, round(e.onset_s - file.start_s, 2)) for e in self._own_events(file))
        if found != expected:
            lost, added = expected - found, found - expected
            said = any(re.search(r"event|annotation", flag) for flag in row["flags"]) or "events" in self._log
            problem = f"{path}: events lost {sorted(lost)[:3]}, added {sorted(added)[:3]}"
            self.add(problem, is_said=said and not added)

    @property
    def _values(self) -> set[str]:
        """Values that events of the truth have; ``BAD`` annotations and the like are none."""
        return {event.value for take in self.variant.truth.takes for event in take.events}

    def _own_events(self, file: SignalFile) -> list[Any]:
        return [e for e in file.take.events if file.start_s <= e.onset_s < file.stop_s]

    def _classes(self) -> None:
        """A class that is asked for and that nothing in the corpus has must have ended the run."""
        for label, values in self.variant.anchors.items():
            if not self._values.intersection(values):
                self.add(f"class {label} of {values} is nowhere in the corpus", is_said=False)

    def _windows(self, path: str, file: SignalFile, row: dict[str, Any]) -> None:
        table = self.outcome.windows
        own = table[table["recording_id"] == row["recording_id"]]
        label_of = {value: label for label, values in self.variant.anchors.items() for value in values}
        good = [(a - file.start_s, b - file.start_s) for a, b in file.take.good_stretches(file.start_s, file.stop_s)]
        found = Counter(
            (label, round(start / RATE_HZ, 2))
            for label, start in own.loc[own["cut"] == "mi", ["label", "start"]].itertuples(index=False, name=None)
        )
        expected = Counter(
            (label_of[e.value], round(e.onset_s - file.start_s, 2))
            for e in self._own_events(file)
            if e.value in label_of
            and any(
                a - 1e-6 <= e.onset_s - file.start_s and e.onset_s - file.start_s + EVENT_S <= b + 1e-6 for a, b in good
            )
        )
        if found != expected:
            lost, added = expected - found, found - expected
            flags = " ".join(row["flags"])
            said = bool(re.search(r"event|annotation|short_segments|bad_", flags)) or "events" in self._log
            self.add(f"{path}: windows lost {sorted(lost)[:3]}, added {sorted(added)[:3]}", is_said=said and not added)
        for start, stride, n, length in own[["start", "stride", "n_windows", "n_samples"]].itertuples(
            index=False, name=None
        ):
            for first in start + stride * np.arange(n):
                a_s, b_s = first / RATE_HZ, (first + length) / RATE_HZ
                if not any(a - 0.02 <= a_s and b_s <= b + 0.02 for a, b in good):
                    self.add(f"{path}: a window from {a_s:g} to {b_s:g} s lies in no good stretch", is_said=False)
                    return
